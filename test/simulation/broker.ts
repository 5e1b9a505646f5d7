// The simulation runs the core of the server, which the package does not export. So this folder uses relative imports.
import type { Beacon } from '../../server/src/backends/backend.ts'
import { MemorySessions } from '../../server/src/backends/memorySessions.ts'
import { encodeControl, type ControlMessage } from '../../server/src/control/control.ts'
import {
  isSameRun,
  makeBeacon,
  parsePosition,
  RUNS,
  timeOfBeacon,
} from '../../server/src/channels/position.ts'
import type { SubscriberConnection } from './backend.ts'
import type { Commands } from './commands.ts'
import type { Place, Published } from './oracle.ts'
import { short } from './trace.ts'
import type { World } from './world.ts'

export interface BrokerOptions {
  readonly controlChannel: string
  readonly sessionTimeoutMs: number
  /** Whether a monitoring tool subscribes to all channels by a pattern. PUBLISH counts it as a receiver, but it is not a node. */
  readonly isMonitored: boolean
}

export interface Outage {
  readonly downMs: number
  /** Whether all data is lost, as without persistence. Otherwise a replica takes over, which has almost all data. */
  readonly losesData: boolean
  /** The difference between the new server's clock and the old one's. It is negative if the new clock is behind. */
  readonly clockStepMs: number
}

/** A simulated Redis. It executes one command after the other, for all connections. */
export class Broker implements Published {
  isUp = true
  sessions: MemorySessions
  readonly connections = new Set<SubscriberConnection>()
  readonly commands = new Set<Commands>()
  readonly #world: World
  readonly #options: BrokerOptions
  /** The number of messages that each channel has had. */
  readonly #heads = new Map<string, number>()
  /** The nodes that hold copies for each other, and until when they are announced. */
  readonly #living = new Map<string, number>()
  #beacon = 0
  /** Added to the run, if it did not begin with the process. */
  #since = 0
  /** The last beacon that a replica has received. */
  #replicated = 0
  #clockMs = 0
  #run = 0
  #revocations: { readonly text: string; readonly at: number }[] = []

  constructor(world: World, options: BrokerOptions) {
    this.#world = world
    this.#options = options
    this.sessions = new MemorySessions(options.sessionTimeoutMs)
  }

  head(channel: string): number {
    return this.#heads.get(channel) ?? 0
  }

  /** There is one line: the guarantee does not depend on restarts of the broker. */
  placeOf(_channel: string, n: number): Place {
    return { line: 0, before: n - 1 }
  }

  readonly isBridged = false

  isLostAfter(): boolean {
    return false
  }

  lineNow(): number {
    return 0
  }

  headEverywhere(channel: string): number {
    let lowest = this.head(channel)
    for (const connection of this.connections) {
      const missing = connection.firstMissing(channel)
      if (missing !== undefined) lowest = Math.min(lowest, readNumber(missing) - 1)
    }
    return lowest
  }

  /** Publishes the next message of the channel. Its body is its number. */
  publishNext(channel: string): void {
    if (!this.isUp) return
    const n = this.head(channel) + 1
    this.#heads.set(channel, n)
    this.#world.counts.add('messages')
    const receivers = this.publish(channel, writeNumber(n))
    this.#world.trace?.add('broker', `${channel} ${n} to ${receivers}`)
  }

  /** Checks that every node has unsubscribed. Call it some time after all clients have left. */
  checkNoSubscriptions(channels: readonly string[]): void {
    for (const connection of this.connections) {
      const left = channels.filter((channel) => connection.channels.has(channel))
      if (left.length > 0) this.#world.fail('broker', `a node is still subscribed to ${left.join(', ')}`)
    }
  }

  /** Like PUBSUB NUMSUB, this also counts dead connections that the server has not noticed yet. */
  countHolders(channels: readonly string[]): number[] {
    return channels.map(
      (channel) => [...this.connections].filter((each) => each.channels.has(channel)).length,
    )
  }

  /** Like the script of the Redis backend. */
  meet(node: string, ttlMs: number): string[] {
    const now = Date.now()
    this.#living.set(node, now + ttlMs)
    for (const [each, until] of this.#living) if (until <= now) this.#living.delete(each)
    return [...this.#living.keys()]
  }

  publish(channel: string, body: string): number {
    if (isOfRecovery(body)) return this.#publishOfRecovery(channel, body)
    return this.#deliver(channel, body)
  }

  /** A recovery message between nodes can be lost, late, duplicated, or incomplete. */
  #publishOfRecovery(channel: string, body: string): number {
    const { random, conditions, counts, trace } = this.#world
    counts.add(`recovery: ${(JSON.parse(body) as { type: string }).type}`)
    if (random.chance(conditions.recoveryLost)) {
      counts.add('recovery: lost')
      trace?.add('broker', `loses ${short(body)}`)
      return this.#receiversOf(channel)
    }
    const text = random.chance(conditions.recoveryDamaged) ? damaged(this.#world, body) : body
    if (random.chance(conditions.recoveryLate)) {
      setTimeout(() => this.#deliver(channel, text), random.between(0, 3000))
      return this.#receiversOf(channel)
    }
    if (random.chance(conditions.duplicated)) this.#deliver(channel, text)
    return this.#deliver(channel, text)
  }

  /** Like PUBLISH, this counts a monitoring tool that subscribes to all channels by a pattern. */
  #receiversOf(channel: string): number {
    return this.countHolders([channel])[0]! + (this.#options.isMonitored ? 1 : 0)
  }

  #deliver(channel: string, body: string): number {
    for (const connection of this.connections) {
      if (!connection.channels.has(channel)) continue
      connection.push({ channel, body })
    }
    // Numbered messages and beacons are traced elsewhere.
    if (body.startsWith('{') && !body.startsWith('{"v":1,"b":'))
      this.#world.trace?.add('broker', `${channel} ${short(body)}`)
    return this.#receiversOf(channel)
  }

  /** Like the script of the Redis backend. */
  beacon(floor: number, isOver: boolean): Beacon {
    const now = Date.now() + this.#clockMs
    if (isOver && isSameRun(floor, this.#run + this.#since))
      this.#since += this.#world.random.between(1, RUNS - 1)
    const ms = Math.max(now, timeOfBeacon(this.#beacon) + 1, timeOfBeacon(floor) + 1)
    const n = makeBeacon(ms, this.#run + this.#since)
    if (this.#world.random.chance(0.7)) this.#replicated = n
    this.#beacon = n
    const receivers = this.publish(this.#options.controlChannel, encodeControl({ type: 'beacon', number: n }))
    this.#world.trace?.add('broker', `beacon ${n} (floor ${floor}) to ${receivers}`)
    return { n, nowMs: now, receivers }
  }

  keepRevocation(text: string): void {
    this.#revocations.push({ text, at: Date.now() })
  }

  keptRevocations(ms: number): string[] {
    return this.#revocations.flatMap(({ text, at }) => (at >= Date.now() - ms ? text : []))
  }

  /** The key of the last beacon is deleted or evicted. The clock may have been set back. */
  forget(clockStepMs: number): void {
    this.#world.trace?.add('broker', `loses the last beacon, its clock ${clockStepMs} ms off`)
    this.#beacon = 0
    this.#since = 0
    this.#clockMs += clockStepMs
  }

  /** The server dies. After a while, it starts again or its replica takes over. */
  fail({ downMs, losesData, clockStepMs }: Outage): void {
    const { trace } = this.#world
    trace?.add('broker', losesData ? 'dies and loses all data' : 'dies, and a replica takes over')
    this.isUp = false
    for (const connection of this.connections) connection.lose()
    for (const commands of this.commands) commands.cut()
    this.#clockMs += clockStepMs
    this.#run = this.#world.random.between(0, RUNS - 1)
    this.#beacon = losesData ? 0 : this.#replicated
    if (losesData) this.#since = 0
    if (losesData) {
      this.#living.clear()
      this.#revocations = []
      this.#world.credentials.lost()
      this.sessions = new MemorySessions(this.#options.sessionTimeoutMs)
    }
    setTimeout(() => {
      trace?.add('broker', `is up, its clock ${clockStepMs} ms off`)
      this.isUp = true
    }, downMs)
  }
}

/** Whether it is a recovery message between nodes. Redis keeps the order of all other messages, and the guarantee relies on it. */
function isOfRecovery(body: string): boolean {
  return /^\{"v":1,"type":"(?:where|whereIs|claim|getPage|page|copy|copied)"/.test(body)
}

/**
 * Removes a message from a page. Either the count stays, as if a part was lost in transit. Or a message with a successor is left
 * out and the count is adjusted, as by a faulty node, so the numbers are not consecutive.
 */
function damaged({ random, counts, trace }: World, body: string): string {
  const message = JSON.parse(body) as ControlMessage
  if (message.type !== 'page' || message.entries.length === 0) return body
  const positions = message.entries.map(([position]) => parsePosition(position)!)
  const isFollowed = (i: number): boolean => positions[i]!.beacon === positions[i + 1]?.beacon
  const followed = positions.map((_, i) => i).filter(isFollowed)
  const isLeftOut = followed.length > 0 && random.chance(0.7)
  const index = isLeftOut ? random.pick(followed) : random.between(0, positions.length - 1)
  const entries = message.entries.filter((_, i) => i !== index)
  counts.add(isLeftOut ? 'recovery: left out' : 'recovery: lost in part')
  trace?.add('broker', `takes entry ${index} from ${short(body)}`)
  return encodeControl({ ...message, entries, count: message.count - (isLeftOut ? 1 : 0) })
}

/** Some bodies are longer, to reach the limits in bytes. */
export function writeNumber(n: number): string {
  return n % 7 === 0 ? `${n} ${'.'.repeat((n * 37) % 400)}` : String(n)
}

export function readNumber(body: string): number {
  return Number.parseInt(body, 10)
}
