import { slotOf, SLOTS } from '../../../server/src/backends/slots.ts'
import { ReplyError, type Reply } from './resp.ts'
import { ServerConnection } from './serverConnection.ts'
import type { SimulatedSocket } from './socket.ts'

/** The body of a message that gets its number when a server publishes it. */
export const UNNUMBERED = '#'

/** What a server needs of the other servers. */
export interface Surroundings {
  /** A server executes PUBLISH or SPUBLISH. Returns the body: the message of a program gets its number now. */
  published(server: Server, channel: string, body: string, kind: Kind): string
  /** A replica has accepted a message of a program. Its master publishes it, in its order. */
  forward(master: Server, channel: string, kind: Kind): void
  /** A server has written a key. */
  written(server: Server, key: string, value: string): void
  random(): string
}

/** PUBLISH and SUBSCRIBE, or SPUBLISH and SSUBSCRIBE. */
export type Kind = 'classic' | 'shard'

const noOwners = Array.from({ length: SLOTS }, (): Server | null => null)

/** One process of a Redis Cluster. It executes one command after the other, for all connections. */
export class Server {
  readonly index: number
  readonly host: string
  readonly id: string
  readonly connections = new Set<ServerConnection>()
  readonly keys = new Map<string, string>()
  /** The hashes of the scripts that it knows. */
  readonly scripts = new Set<string>()
  /** The slots that are on their way to another server. */
  readonly migrating = new Map<number, Server>()
  /** The nodes that do not reach it. */
  readonly unreachable = new Set<string>()
  /** What it adds to each delay. */
  latencyMs = 0
  /** How far its clock is ahead. */
  clockMs = 0
  isUp = true
  isFrozen = false
  /** Whether it does not reach most other servers. */
  isIsolated = false
  runId: string
  replId: string
  /** `null` if it is a master itself. */
  master: Server | null = null
  epoch = 0
  readonly #around: Surroundings
  readonly #hasShards: boolean
  /** The owner of each slot, and the epoch of its claim, as far as this server knows. */
  readonly #owners = noOwners.slice()
  readonly #epochs = new Int32Array(SLOTS).fill(-1)
  /** The number of the time for which this process has owned each slot, of slots with messages. */
  readonly lines = new Map<number, number>()
  #slots: Reply | null = null
  #ranges: string | null = null

  constructor(around: Surroundings, index: number, hasShards: boolean) {
    this.#around = around
    this.#hasShards = hasShards
    this.index = index
    this.host = `10.0.0.${index + 1}`
    this.id = around.random()
    this.runId = around.random()
    this.replId = around.random()
  }

  get address(): string {
    return `${this.host}:6379`
  }

  /** Whether it answers to this node. */
  answers(who: string): boolean {
    return !this.isFrozen && !this.unreachable.has(who)
  }

  ownerOf(slot: number): Server | null {
    return this.#owners[slot]!
  }

  owns(slot: number): boolean {
    return this.isUp && this.#owners[slot] === this
  }

  /** The slots that it says that it owns. */
  get slots(): number[] {
    const slots: number[] = []
    for (const [slot, owner] of this.#owners.entries()) if (owner === this) slots.push(slot)
    return slots
  }

  get hasSlots(): boolean {
    return this.#owners.includes(this)
  }

  /** Hears that a server owns slots. It ends the sharded subscriptions in slots that leave its shard. */
  learn(slots: readonly number[], owner: Server, epoch: number): void {
    const left = new Set<number>()
    for (const slot of slots) {
      if (epoch <= this.#epochs[slot]!) continue
      this.#epochs[slot] = epoch
      const before = this.#owners[slot]!
      if (before === owner) continue
      this.#owners[slot] = owner
      this.lines.delete(slot)
      this.migrating.delete(slot)
      if (before === this || (before !== null && before === this.master)) left.add(slot)
    }
    this.#slots = null
    this.#ranges = null
    if (left.size === 0) return
    for (const connection of this.connections) connection.endShard((channel) => left.has(slotOf(channel)))
    for (const key of this.keys.keys()) if (owner !== this && left.has(slotOf(key))) this.keys.delete(key)
  }

  /** The roles of the servers have changed. */
  rolesChanged(): void {
    this.#slots = null
  }

  /** The process ends. */
  stop(): void {
    this.isUp = false
    for (const connection of this.connections) connection.socket.reset()
  }

  /** A new process begins. Without a replica that had them, the keys are lost. */
  restart(): void {
    this.runId = this.#around.random()
    this.replId = this.#around.random()
    this.lines.clear()
    this.scripts.clear()
    this.isUp = true
    this.isFrozen = false
  }

  accept(socket: SimulatedSocket): ServerConnection {
    return new ServerConnection(this, socket, this.#hasShards)
  }

  countHolders(channel: string): number {
    let count = 0
    for (const { classic } of this.connections) if (classic.has(channel)) count += 1
    return count
  }

  /** Returns the number of receivers at this server. */
  publish(channel: string, given: string, kind: Kind): number {
    if (given === UNNUMBERED && this.master !== null) {
      this.#around.forward(this.master, channel, kind)
      return 0
    }
    return this.deliver(channel, this.#around.published(this, channel, given, kind), kind)
  }

  deliver(channel: string, body: string, kind: Kind): number {
    let receivers = 0
    for (const connection of this.connections) {
      if (!connection[kind].has(channel)) continue
      receivers += 1
      const type = kind === 'shard' ? 'smessage' : 'message'
      connection.push([type, channel, body], { channel, body })
    }
    return receivers
  }

  write(key: string, value: string): void {
    this.keys.set(key, value)
    this.#around.written(this, key, value)
  }

  /** The redirection for a command of this slot; `null` if this server serves it. */
  redirect(slot: number, key: string | null): ReplyError | null {
    if (key !== null && this.isIsolated) return new ReplyError('CLUSTERDOWN The cluster is down')
    const owner = this.#owners[slot]!
    if (owner === null) return new ReplyError('CLUSTERDOWN Hash slot not served')
    const to = this.migrating.get(slot)
    if (owner === this && key !== null && to !== undefined && !this.keys.has(key))
      return new ReplyError(`ASK ${slot} ${to.address}`)
    // A replica serves sharded pub/sub of its master.
    if (owner === this || (key === null && owner === this.master)) return null
    return new ReplyError(`MOVED ${slot} ${owner.address}`)
  }

  info(section: string): string {
    const role = this.master === null ? 'master' : 'slave'
    const all = {
      server: `run_id:${this.runId}`,
      replication: `role:${role}\r\nmaster_replid:${this.replId}`,
    }
    return `# ${section}\r\n${section in all ? all[section as keyof typeof all] : Object.values(all).join('\r\n')}\r\nloading:0\r\n`
  }

  /** The reply to CLUSTER SLOTS. */
  get table(): Reply {
    if (this.#slots !== null) return this.#slots
    const ranges: Reply[] = []
    const member = ({ host, id }: Server): Reply => [host, 6379, id]
    for (const [from, to] of rangesOf(this.#owners)) {
      const owner = this.#owners[from]!
      if (owner !== null) ranges.push([from, to, member(owner), ...owner.replicas.map(member)])
    }
    return (this.#slots = ranges)
  }

  /** The line about itself in the reply to CLUSTER NODES. */
  get line(): string {
    this.#ranges ??= rangesOf(this.#owners)
      .filter(([from]) => this.#owners[from] === this)
      .map((range) => ` ${range.join('-')}`)
      .join('')
    const { id, address, master, epoch } = this
    const role = master === null ? 'master -' : `slave ${master.id}`
    return `${id} ${address}@16379 myself,${role} 0 0 ${epoch} connected${this.#ranges}\n`
  }

  /** Set by the cluster. */
  replicas: readonly Server[] = []
}

/** Ranges of neighbouring slots with the same owner. */
function rangesOf(owners: readonly (Server | null)[]): (readonly [from: number, to: number])[] {
  const ranges: [number, number][] = []
  for (let slot = 0, from = 0; slot < owners.length; slot++) {
    if (owners[slot + 1] === owners[slot]) continue
    ranges.push([from, slot])
    from = slot + 1
  }
  return ranges
}
