import { slotOf, SLOTS } from '../../../server/src/backends/slots.ts'
import { readNumber } from '../broker.ts'
import type { Place, Published } from '../oracle.ts'
import { short } from '../trace.ts'
import type { World } from '../world.ts'
import { Bus } from './bus.ts'
import { Changes, controlSlotIn } from './changes.ts'
import { Lines } from './lines.ts'
import { Server, UNNUMBERED, type Kind, type Surroundings } from './server.ts'

export interface RedisClusterOptions {
  readonly masters: number
  /** Whether the servers have sharded pub/sub. Without it, there is one order, at the owner of this key. */
  readonly meetingKey: string | null
  /** Whether two servers may own a slot for longer than a client needs to notice. Then what one of them publishes may be lost. */
  readonly isSplit: boolean
  readonly channels: readonly string[]
}

/**
 * A simulated Redis Cluster: masters with one replica each. Each server has its own clock, its own distance, and its own
 * view of who owns which slots.
 */
export class RedisCluster implements Surroundings, Published {
  readonly servers: readonly Server[]
  readonly #world: World
  readonly #options: RedisClusterOptions
  readonly bus: Bus
  readonly changes: Changes
  readonly #lines = new Lines()

  constructor(world: World, options: RedisClusterOptions) {
    this.#world = world
    this.#options = options
    this.bus = new Bus(world)
    const { random } = world
    const { masters, meetingKey } = options
    this.servers = Array.from({ length: 2 * masters }, (_, i) => new Server(this, i, meetingKey === null))
    for (const [i, server] of this.servers.entries()) {
      server.latencyMs = random.pick([0, 1, 3])
      server.clockMs = random.pick([0, 0, random.between(-3000, 3000)])
      server.epoch = i + 1
      if (i >= masters) server.master = this.servers[i - masters]!
    }
    for (const [i, server] of this.servers.slice(0, masters).entries()) {
      server.replicas = [this.servers[i + masters]!]
      const [from, to] = [i, i + 1].map((n) => Math.floor((n * SLOTS) / masters))
      const slots = Array.from({ length: to! - from! }, (_, n) => from! + n)
      for (const each of this.servers) each.learn(slots, server, server.epoch)
    }
    this.changes = new Changes(world, this, options.channels)
  }

  /** The masters that run and own slots. One that is being replaced has no replica. */
  get masters(): Server[] {
    return this.servers.filter(
      (each) => each.isUp && !each.isFrozen && each.replicas.length > 0 && each.hasSlots,
    )
  }

  server(host: string): Server {
    return this.servers.find((each) => each.host === host)!
  }

  /** The slot whose owner orders the messages of the channel. */
  slotOf(channel: string): number {
    return slotOf(this.#options.meetingKey ?? channel)
  }

  /** The server that owns the slot, as the one says that got it last. */
  ownerOf(slot: number): Server | null {
    const owners = this.servers.filter((each) => each.owns(slot) && !each.isFrozen)
    return owners.sort((a, b) => b.epoch - a.epoch)[0] ?? null
  }

  /** The slot by which nodes name the order of the server. */
  controlSlotOf(server: Server): number {
    const { meetingKey } = this.#options
    if (meetingKey !== null) return slotOf(meetingKey)
    return controlSlotIn(server.slots)!
  }

  // -- what was published

  head(channel: string): number {
    return this.#lines.head(channel)
  }

  placeOf(channel: string, n: number): Place {
    return this.#lines.placeOf(channel, n)
  }

  get isSplit(): boolean {
    return this.#options.isSplit
  }

  isLostAfter(channel: string, line: number, head: number): boolean {
    return !this.#options.isSplit && this.#lines.endOf(channel, line) > head
  }

  get isBridged(): boolean {
    return this.#options.meetingKey !== null
  }

  lineNow(channel: string): number | null {
    const slot = this.slotOf(channel)
    const owners = this.servers.filter((each) => each.owns(slot))
    return owners.length === 1 ? this.#lines.known(owners[0]!, slot) : null
  }

  headEverywhere(channel: string): number {
    let lowest = this.head(channel)
    const see = (item: { readonly channel: string; readonly body: string } | undefined): void => {
      if (item?.channel === channel) lowest = Math.min(lowest, readNumber(item.body) - 1)
    }
    for (const { connections } of this.servers)
      for (const { socket } of connections) for (const { message } of socket.missing) see(message)
    for (const item of this.bus.inFlight()) see(item)
    return lowest
  }

  /** A program publishes the next message with SPUBLISH. It begins with the view of some server, and follows redirections. */
  publishNext(channel: string): void {
    const slot = slotOf(channel)
    let server = this.#world.random.pick(this.servers).ownerOf(slot)
    for (let hops = 0; hops < 5 && server !== null && server.isUp && !server.isFrozen; hops++) {
      const owner = server.ownerOf(slot)
      if (owner === server) return void server.publish(channel, UNNUMBERED, 'shard')
      server = owner
    }
  }

  published(server: Server, channel: string, given: string, kind: Kind): string {
    const { trace, counts } = this.#world
    let body = given
    if (given === UNNUMBERED) {
      body = this.#lines.publish(server, channel, this.slotOf(channel))
      counts.add('messages')
      trace?.add(server.host, `${channel} ${short(body)}`)
    } else if (body.startsWith('{')) trace?.add(server.host, `${channel} ${body}`)
    for (const other of this.servers) {
      const isInShard = other.master === server || server.master === other
      if (other !== server && (kind === 'classic' || isInShard))
        this.bus.send(server, other, { channel, body, kind })
    }
    return body
  }

  forward(master: Server, channel: string, kind: Kind): void {
    setTimeout(
      () => {
        if (master.isUp && master.master === null) master.publish(channel, UNNUMBERED, kind)
      },
      this.#world.random.between(0, 5),
    )
  }

  written(server: Server, key: string, value: string): void {
    for (const replica of server.replicas) if (this.#world.random.chance(0.8)) replica.keys.set(key, value)
  }

  random(): string {
    return Array.from({ length: 5 }, () =>
      this.#world.random
        .between(0, 2 ** 32 - 1)
        .toString(16)
        .padStart(8, '0'),
    ).join('')
  }

  // -- what the run checks

  countHolders([channel]: readonly string[]): number[] {
    return [this.ownerOf(this.slotOf(channel!))?.countHolders(channel!) ?? 0]
  }

  checkNoSubscriptions(channels: readonly string[]): void {
    for (const { host, connections } of this.servers) {
      for (const { classic, shard } of connections) {
        const left = channels.filter((channel) => classic.has(channel) || shard.has(channel))
        if (left.length > 0) this.#world.fail(host, `a node is still subscribed to ${left.join(', ')}`)
      }
    }
  }
}
