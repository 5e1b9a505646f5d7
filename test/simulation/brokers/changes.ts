import { SlotClaims } from '../../../server/src/backends/slotClaims.ts'
import { slotOf } from '../../../server/src/backends/slots.ts'
import type { World } from '../world.ts'
import type { RedisCluster } from './redisCluster.ts'
import type { Server } from './server.ts'

/** A client is told of a gap within this time. */
const TOLD_MS = 40_000

/** Changes which servers of a Redis Cluster own which slots. */
export class Changes {
  readonly #world: World
  readonly #cluster: RedisCluster
  readonly #channels: readonly string[]
  /** When the order of each channel was last changed. */
  readonly #affected = new Map<string, number>()
  #epoch: number

  constructor(world: World, cluster: RedisCluster, channels: readonly string[]) {
    this.#world = world
    this.#cluster = cluster
    this.#channels = channels
    this.#epoch = cluster.servers.length
  }

  /** Whether the channel may have a gap: its slot has moved, or the control slot of its server has changed. */
  mayGap(channel: string): boolean {
    return Date.now() - (this.#affected.get(channel) ?? -Infinity) < TOLD_MS
  }

  /** Moves slots, one after the other. Between the last two steps, both servers own the slot. */
  move(slots: readonly number[], to: Server): void {
    const { random, trace } = this.#world
    const from = this.#cluster.ownerOf(slots[0]!)
    if (from === null || from === to || from.isIsolated) return
    trace?.add(from.host, `slots ${slots.join(' ')} move to ${to.host}`)
    for (const slot of slots) from.migrating.set(slot, to)
    this.#affect(slots, from, to)
    const isStill = (): boolean =>
      from.owns(slots[0]!) && from.isUp && !from.isFrozen && to.isUp && to.replicas.length > 0
    setTimeout(
      () => {
        if (!isStill()) return
        for (const [key, value] of from.keys) {
          if (!slots.includes(slotOf(key))) continue
          from.keys.delete(key)
          to.write(key, value)
        }
        setTimeout(
          () => {
            if (!isStill()) return
            const epoch = (to.epoch = this.#nextEpoch)
            to.learn(slots, to, epoch)
            setTimeout(
              () => {
                if (from.isUp) from.learn(slots, to, epoch)
                trace?.add(from.host, `has given up slots ${slots.join(' ')}`)
              },
              random.pick([0, random.between(0, 100), random.between(100, 1500)]),
            )
            this.#gossip(slots, to, epoch, [from, to])
          },
          random.between(0, 20),
        )
      },
      random.between(0, 50),
    )
  }

  /** The slot is at the other server for so short a time that no question notices it. */
  lend(slot: number, to: Server): void {
    const from = this.#cluster.ownerOf(slot)
    if (from === null || from === to || from.isIsolated) return
    this.#affect([slot], from, to)
    this.#give(slot, from, to)
    setTimeout(
      () => {
        if (from.isUp && to.owns(slot)) this.#give(slot, to, from)
      },
      this.#world.random.between(0, 2),
    )
  }

  /** A planned failover: the replica and its master change their roles. */
  failOver(master: Server): void {
    const replica = this.#replicaOf(master)
    if (replica === null) return
    // The master stops, and its replica has received everything, before the replica takes over.
    for (const [key, value] of master.keys) replica.keys.set(key, value)
    this.#promote(replica, master)
    const { random } = this.#world
    setTimeout(() => this.#demote(master, replica), random.between(0, 30))
    // Nodes that are left behind then miss a part of what arrives over the bus.
    if (this.#cluster.isBridged)
      setTimeout(() => this.#cluster.bus.disturb(replica, master), random.between(0, 500))
  }

  /** The server dies. Its replica takes over, and it starts again as the replica. */
  kill(master: Server): void {
    const { random } = this.#world
    const replica = this.#replicaOf(master)
    if (replica === null) return
    if (random.chance(0.5)) master.stop()
    else {
      master.isFrozen = true
      for (const { socket } of master.connections) socket.die()
    }
    setTimeout(() => this.#promote(replica, master), random.between(500, 2000))
    setTimeout(
      () => {
        if (master.isFrozen) for (const { socket } of master.connections) socket.reset()
        // A server that was only frozen believes for a moment that it is the master.
        const wasFrozen = master.isFrozen
        if (wasFrozen) master.isFrozen = false
        else master.restart()
        setTimeout(() => this.#demote(master, replica), wasFrozen ? random.between(0, 200) : 0)
      },
      random.between(2500, 5000),
    )
  }

  /** The server is killed and starts again at once, without its keys or with them. */
  restart(master: Server): void {
    master.stop()
    if (this.#world.random.chance(0.5)) master.keys.clear()
    setTimeout(() => master.restart(), this.#world.random.between(50, 800))
  }

  /**
   * The server and some nodes do not reach the others. Its replica takes over. The nodes stay at the old server until it
   * hears of the new one. If it notices its isolation only after that, it stays a replica for which the Cluster is down.
   */
  isolate(master: Server, away: ReadonlySet<string>): void {
    const { random } = this.#world
    const replica = this.#replicaOf(master)
    if (replica === null) return
    for (const who of away) master.unreachable.add(who)
    for (const { socket } of master.connections) if (away.has(socket.who)) socket.die()
    setTimeout(() => (master.isIsolated = true), random.between(500, 1500))
    const promotedMs = random.between(800, 2000)
    setTimeout(() => this.#promote(replica, master), promotedMs)
    setTimeout(
      () => {
        master.isIsolated = false
        master.unreachable.clear()
        this.#demote(master, replica)
      },
      promotedMs + random.between(0, 3000),
    )
  }

  /** Notes the channels that get another order if these slots move. Nodes that ask at different times may see both orders. */
  #affect(slots: readonly number[], from: Server, to: Server): void {
    const control = (server: Server, but: readonly number[], and: readonly number[]): number | undefined =>
      controlSlotIn([...server.slots.filter((slot) => !but.includes(slot)), ...and])
    const isOther = (server: Server, but: readonly number[], and: readonly number[]): boolean =>
      control(server, [], []) !== control(server, but, and)
    const changed = [...(isOther(from, slots, []) ? [from] : []), ...(isOther(to, [], slots) ? [to] : [])]
    for (const channel of this.#channels) {
      const slot = this.#cluster.slotOf(channel)
      if (slots.includes(slot) || changed.some((server) => server.owns(slot)))
        this.#affected.set(channel, Date.now())
    }
  }

  #give(slot: number, from: Server, to: Server): void {
    to.epoch = this.#nextEpoch
    to.learn([slot], to, to.epoch)
    from.learn([slot], to, to.epoch)
    this.#gossip([slot], to, to.epoch, [from, to])
  }

  /** The replica that could replace the master. */
  #replicaOf(master: Server): Server | null {
    const [replica] = master.replicas
    return replica !== undefined && replica.isUp && !replica.isFrozen && replica.master === master
      ? replica
      : null
  }

  #promote(replica: Server, old: Server): void {
    if (this.#replicaOf(old) !== replica) return
    this.#world.trace?.add(replica.host, `takes over from ${old.host}`)
    replica.master = null
    replica.replId = this.#cluster.random()
    replica.replicas = [old]
    old.replicas = []
    replica.epoch = this.#nextEpoch
    const slots = old.slots
    replica.learn(slots, replica, replica.epoch)
    this.#rolesChanged()
    this.#gossip(slots, replica, replica.epoch, [replica, old])
  }

  #demote(old: Server, master: Server): void {
    if (!master.replicas.includes(old)) return
    this.#world.trace?.add(old.host, `is a replica of ${master.host}`)
    const slots = old.slots
    old.learn(slots, master, master.epoch)
    old.master = master
    old.replId = master.replId
    old.keys.clear()
    for (const [key, value] of master.keys) old.keys.set(key, value)
    this.#rolesChanged()
  }

  #rolesChanged(): void {
    for (const server of this.#cluster.servers) server.rolesChanged()
  }

  /** The other servers hear of the new owner, some of them late. */
  #gossip(slots: readonly number[], owner: Server, epoch: number, but: readonly Server[]): void {
    const { random } = this.#world
    for (const server of this.#cluster.servers)
      if (!but.includes(server)) setTimeout(() => server.learn(slots, owner, epoch), random.between(0, 1000))
  }

  get #nextEpoch(): number {
    return ++this.#epoch
  }
}

/** The slot by which nodes name the order of a server with these slots. */
export function controlSlotIn(slots: readonly number[]): number | undefined {
  const claims = new SlotClaims()
  claims.update(new Map([['', { epoch: 1, ranges: slots.map((slot) => [slot, slot] as const) }]]))
  return [...claims.controlSlots][0]
}
