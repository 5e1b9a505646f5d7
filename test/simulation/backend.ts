import type {
  Backend,
  BackendReceiver,
  Beacon,
  Broker as OrderedBroker,
  BrokerReceiver,
} from '../../server/src/backends/backend.ts'
import { plainCodec } from '../../server/src/control/codec.ts'
import { BroadcasterError } from '../../server/src/errors.ts'
import type { Broker } from './broker.ts'
import { Commands } from './commands.ts'
import { Pipe } from './pipe.ts'
import { SimulatedSessions } from './sessions.ts'
import { delayMs, type World } from './world.ts'

/** An item that a node receives on its subscriber connection: a message or a confirmation. */
export type Incoming = { readonly channel: string; readonly body: string } | { readonly confirm: () => void }

/** A node's subscriber connection. */
export class SubscriberConnection {
  readonly channels = new Set<string>()
  readonly #broker: Broker
  readonly #down: Pipe<Incoming>
  readonly #up: Pipe<() => void>
  readonly #onLost: () => void
  /** Whether the connection is half-open: both sides believe that it is open, but nothing arrives. */
  #isDead = false
  readonly #lost: Incoming[] = []

  constructor(
    world: World,
    broker: Broker,
    receive: (items: readonly Incoming[]) => void,
    onLost: () => void,
  ) {
    this.#broker = broker
    this.#onLost = onLost
    this.#down = new Pipe(() => delayMs(world), receive)
    this.#up = new Pipe(
      () => delayMs(world),
      (commands) => {
        for (const command of commands) command()
      },
    )
    broker.connections.add(this)
  }

  /** The body of the channel's first message that has not arrived, or `undefined` if all have arrived. */
  firstMissing(channel: string): string | undefined {
    const isOurs = (item: Incoming): boolean => 'body' in item && item.channel === channel
    const item = this.#lost.find(isOurs) ?? this.#down.items.find(isOurs)
    return item !== undefined && 'body' in item ? item.body : undefined
  }

  /** Sends an item to the node. */
  push(item: Incoming): void {
    if (this.#isDead) this.#lost.push(item)
    else this.#down.send(item)
  }

  /** Sends a command to the broker, which executes it when it arrives. */
  send(command: () => void): void {
    if (!this.#isDead) this.#up.send(command)
  }

  stall(ms: number): void {
    this.#down.stall(ms)
  }

  /** From now on nothing arrives, and neither side notices. */
  die(): void {
    this.#isDead = true
    this.#lost.push(...this.#down.items)
    this.#down.clear()
    this.#up.clear()
  }

  /** Ends the connection for both sides. */
  close(): void {
    this.die()
    this.#broker.connections.delete(this)
  }

  lose(): void {
    this.close()
    this.#onLost()
  }
}

/** A node's backend, to which faults can happen. */
export interface NodeBackend extends Backend {
  /** The channels to which the node is subscribed. */
  readonly held: ReadonlySet<string>
  /** The process has ended. Commands in flight may still arrive. */
  vanish(): void
  /** Breaks a subscriber connection. Both sides notice it at once. */
  cut(): void
  /** A subscriber connection becomes half-open. The heartbeat notices it after this time. */
  halfOpen(afterMs: number): void
  stall(ms: number): void
  stallCommands(ms: number): void
  cutCommands(): void
}

/** A node's backend. It has a connection for subscriptions, one for commands and one for the commands of sessions. */
export class SimulatedBackend implements NodeBackend, OrderedBroker {
  readonly tag = ''
  readonly codec = plainCodec
  readonly trouble = null
  readonly sessions: SimulatedSessions
  readonly #world: World
  readonly #broker: Broker
  readonly #name: string
  readonly #commands: Commands
  #receiver: BrokerReceiver | null = null
  #connection: SubscriberConnection | null = null
  readonly #unconfirmed = new Set<(error: Error) => void>()
  #isClosed = false

  constructor(world: World, broker: Broker, name: string) {
    this.#world = world
    this.#broker = broker
    this.#name = name
    this.#commands = new Commands(world, broker)
    this.sessions = new SimulatedSessions(new Commands(world, broker), () => broker.sessions)
  }

  get hasEnded(): false {
    return false
  }

  get isConnected(): boolean {
    return this.#connection !== null && this.#broker.isUp
  }

  async start(receiver: BackendReceiver): Promise<void> {
    this.#receiver = receiver.opened(this)
    this.#connectLater()
  }

  brokerOf(): OrderedBroker {
    return this
  }

  async subscribe(channels: readonly string[]): Promise<readonly string[]> {
    await this.#command((connection) => {
      for (const channel of channels) connection.channels.add(channel)
    })
    return []
  }

  unsubscribe(channels: readonly string[]): Promise<void> {
    return this.#command((connection) => {
      for (const channel of channels) connection.channels.delete(channel)
    })
  }

  publish(channel: string, body: string): Promise<number> {
    return this.#commands.run(() => this.#broker.publish(channel, body))
  }

  countHolders(channels: readonly string[]): Promise<readonly number[]> {
    return this.#commands.run(() => this.#broker.countHolders(channels))
  }

  beacon(floor: number, isOver: boolean): Promise<Beacon> {
    return this.#commands.run(() => this.#broker.beacon(floor, isOver))
  }

  counts(): boolean {
    return true
  }

  // The number of connections is not part of the guarantee.
  async report(): Promise<void> {}

  async connections(): Promise<number> {
    return 0
  }

  async leave(): Promise<void> {}

  meet(node: string, ttlMs: number): Promise<readonly string[]> {
    return this.#commands.run(() => this.#broker.meet(node, ttlMs))
  }

  keepRevocation(text: string): Promise<void> {
    return this.#commands.run(() => this.#broker.keepRevocation(text))
  }

  /** Other runs do not depend on this command. */
  async keptRevocations(ms: number): Promise<readonly string[]> {
    if (!this.#world.credentials.areUsed) return []
    return this.#commands.run(() => this.#broker.keptRevocations(ms))
  }

  async close(): Promise<void> {
    this.vanish()
  }

  get held(): ReadonlySet<string> {
    return this.#connection?.channels ?? new Set()
  }

  // -- faults

  vanish(): void {
    this.#isClosed = true
    this.#connection?.close()
    this.#connection = null
    this.#commands.close()
    this.sessions.commands.close()
  }

  cut(): void {
    this.#world.safety.fault(this.held)
    this.#connection?.lose()
  }

  halfOpen(afterMs: number): void {
    const connection = this.#connection
    this.#world.safety.fault(this.held)
    connection?.die()
    setTimeout(() => {
      if (connection !== null && connection === this.#connection) connection.lose()
    }, afterMs)
  }

  stall(ms: number): void {
    this.#connection?.stall(ms)
  }

  stallCommands(ms: number): void {
    this.#world.random.pick([this.#commands, this.sessions.commands]).stall(ms)
  }

  cutCommands(): void {
    this.#world.random.pick([this.#commands, this.sessions.commands]).cut()
  }

  #connectLater(): void {
    setTimeout(
      () => {
        if (this.#isClosed) return
        if (!this.#broker.isUp) return this.#connectLater()
        const connection = new SubscriberConnection(
          this.#world,
          this.#broker,
          (items) => this.#receive(items),
          () => this.#lost(connection),
        )
        this.#connection = connection
        this.#world.trace?.add(this.#name, 'connected to the broker')
        this.#receiver!.up()
      },
      this.#world.random.chance(0.7)
        ? this.#world.random.between(1, 100)
        : this.#world.random.between(100, 2000),
    )
  }

  /** As in ioredis, messages are events in the same turn, and confirmations are promises, which are settled after them. */
  #receive(items: readonly Incoming[]): void {
    for (const item of items) {
      if ('confirm' in item) item.confirm()
      else this.#receiver!.message(item.channel, item.body)
    }
  }

  #lost(connection: SubscriberConnection): void {
    if (connection !== this.#connection) return
    this.#world.trace?.add(this.#name, 'lost the connection to the broker')
    this.#connection = null
    const error = new Error('The connection to the broker was lost')
    for (const reject of this.#unconfirmed) reject(error)
    this.#unconfirmed.clear()
    this.#receiver!.down(error)
    this.#connectLater()
  }

  #command(act: (connection: SubscriberConnection) => void): Promise<void> {
    const connection = this.#connection
    if (connection === null) {
      return Promise.reject(new BroadcasterError('brokerUnavailable', 'No connection to the broker'))
    }
    return new Promise((resolve, reject) => {
      this.#unconfirmed.add(reject)
      connection.send(() => {
        act(connection)
        const confirm = (): void => {
          this.#unconfirmed.delete(reject)
          resolve()
        }
        connection.push({ confirm })
      })
    })
  }
}
