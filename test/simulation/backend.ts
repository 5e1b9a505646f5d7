import type { Backend, BackendReceiver, Beacon } from '../../server/src/backends/backend.ts'
import { BroadcasterError } from '../../server/src/errors.ts'
import type { Broker } from './broker.ts'
import { Commands } from './commands.ts'
import { Pipe } from './pipe.ts'
import { SimulatedSessions } from './sessions.ts'
import { delayMs, type World } from './world.ts'

/** What comes to a node on its subscriber connection. */
export type Incoming = { readonly channel: string; readonly body: string } | { readonly confirm: () => void }

/** A node's connection for subscriptions, as the broker sees it. */
export class SubscriberConnection {
  readonly channels = new Set<string>()
  readonly #broker: Broker
  readonly #down: Pipe<Incoming>
  readonly #up: Pipe<() => void>
  readonly #onLost: () => void
  /** Whether anything gets through: a half-open connection is there for both sides, and carries nothing. */
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

  /** The body of the channel's first message that the node has not got; `undefined` if it has all. */
  firstMissing(channel: string): string | undefined {
    const isOurs = (item: Incoming): boolean => 'body' in item && item.channel === channel
    const item = this.#lost.find(isOurs) ?? this.#down.items.find(isOurs)
    return item !== undefined && 'body' in item ? item.body : undefined
  }

  /** From the broker. */
  push(item: Incoming): void {
    if (this.#isDead) this.#lost.push(item)
    else this.#down.send(item)
  }

  /** From the node: done when it arrives at the broker. */
  send(command: () => void): void {
    if (!this.#isDead) this.#up.send(command)
  }

  stall(ms: number): void {
    this.#down.stall(ms)
  }

  /** From now on nothing gets through, and neither side knows. */
  die(): void {
    this.#isDead = true
    this.#lost.push(...this.#down.items)
    this.#down.clear()
    this.#up.clear()
  }

  /** Both sides know that it is gone. */
  close(): void {
    this.die()
    this.#broker.connections.delete(this)
  }

  lose(): void {
    this.close()
    this.#onLost()
  }
}

/** A node's way to the broker: like the Redis backend, a connection to subscribe, one to publish and one for data. */
export class SimulatedBackend implements Backend {
  readonly isOrdered = true
  readonly trouble = null
  readonly sessions: SimulatedSessions
  readonly #world: World
  readonly #broker: Broker
  readonly #name: string
  readonly #commands: Commands
  #receiver: BackendReceiver | null = null
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

  get isConnected(): boolean {
    return this.#connection !== null && this.#broker.isUp
  }

  async start(receiver: BackendReceiver): Promise<void> {
    this.#receiver = receiver
    this.#connectLater()
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

  beacon(floor: number): Promise<Beacon> {
    return this.#commands.run(() => this.#broker.beacon(floor))
  }

  // How many connections there are is no part of the promise.
  async report(): Promise<void> {}

  async connections(): Promise<number> {
    return 0
  }

  async leave(): Promise<void> {}

  // Nobody is cut off here.
  async keepRevocation(): Promise<void> {}

  async keptRevocations(): Promise<readonly string[]> {
    return []
  }

  async close(): Promise<void> {
    this.vanish()
  }

  // -- faults

  /** The process is no more: what it has sent may still arrive. */
  vanish(): void {
    this.#isClosed = true
    this.#connection?.close()
    this.#connection = null
    this.#commands.close()
    this.sessions.commands.close()
  }

  /** The subscriber connection breaks, and both sides know at once. */
  cut(): void {
    this.#connection?.lose()
  }

  /** The subscriber connection carries nothing any more; the heartbeat finds out after a while. */
  halfOpen(afterMs: number): void {
    const connection = this.#connection
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

  /** As ioredis does it: messages are events, in the same turn; confirmations are promises, which come after that. */
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
