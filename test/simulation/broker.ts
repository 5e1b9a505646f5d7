// The simulation runs the server's core as it is, which is not what the package exports: hence the relative imports here
// and in the other files of this folder.
import type { Beacon } from '../../server/src/backends/backend.ts'
import { MemorySessions } from '../../server/src/backends/memorySessions.ts'
import { encodeControl, type ControlMessage } from '../../server/src/control/control.ts'
import { makeBeacon, parsePosition, timeOfBeacon } from '../../server/src/channels/position.ts'
import type { SubscriberConnection } from './backend.ts'
import type { Commands } from './commands.ts'
import { short } from './trace.ts'
import type { World } from './world.ts'

export interface BrokerOptions {
  readonly controlChannel: string
  readonly sessionTimeoutMs: number
  /** Whether somebody listens to every channel by a pattern: PUBLISH counts it as a receiver, and it is no node. */
  readonly isMonitored: boolean
}

export interface Outage {
  readonly downMs: number
  /** Without persistence everything is lost; a replica that takes over has nearly everything. */
  readonly losesData: boolean
  /** How much later, or earlier if negative, the new server's clock is. */
  readonly clockStepMs: number
}

/** One Redis: one thing after the other, for everybody. */
export class Broker {
  isUp = true
  sessions: MemorySessions
  readonly connections = new Set<SubscriberConnection>()
  readonly commands = new Set<Commands>()
  readonly #world: World
  readonly #options: BrokerOptions
  /** How many messages each channel has had. */
  readonly #heads = new Map<string, number>()
  #beacon = 0
  /** The beacon as a replica knows it. */
  #replicated = 0
  #clockMs = 0
  #run = 0

  constructor(world: World, options: BrokerOptions) {
    this.#world = world
    this.#options = options
    this.sessions = new MemorySessions(options.sessionTimeoutMs)
  }

  head(channel: string): number {
    return this.#heads.get(channel) ?? 0
  }

  /** Up to which message every node that thinks it has the channel really has it. */
  headEverywhere(channel: string): number {
    let lowest = this.head(channel)
    for (const connection of this.connections) {
      const missing = connection.firstMissing(channel)
      if (missing !== undefined) lowest = Math.min(lowest, readNumber(missing) - 1)
    }
    return lowest
  }

  /** Somebody publishes the channel's next message: its number is its body. */
  publishNext(channel: string): void {
    if (!this.isUp) return
    const n = this.head(channel) + 1
    this.#heads.set(channel, n)
    this.#world.counts.add('messages')
    const receivers = this.publish(channel, writeNumber(n))
    this.#world.trace?.add('broker', `${channel} ${n} to ${receivers}`)
  }

  /** All clients have left long ago: every node has unsubscribed. */
  checkNobodyListens(channels: readonly string[]): void {
    for (const connection of this.connections) {
      const left = channels.filter((channel) => connection.channels.has(channel))
      if (left.length > 0) this.#world.fail('broker', `a node is still subscribed to ${left.join(', ')}`)
    }
  }

  /** As PUBSUB NUMSUB does it: connections that nobody has noticed to be dead are counted too. */
  countHolders(channels: readonly string[]): number[] {
    return channels.map(
      (channel) => [...this.connections].filter((each) => each.channels.has(channel)).length,
    )
  }

  publish(channel: string, body: string): number {
    if (isOfRecovery(body)) return this.#publishOfRecovery(channel, body)
    return this.#deliver(channel, body)
  }

  /** What nodes ask each other may be lost, come late, come twice, and come without a part of it. */
  #publishOfRecovery(channel: string, body: string): number {
    const { random, weather, counts, trace } = this.#world
    counts.add(`recovery: ${(JSON.parse(body) as { type: string }).type}`)
    if (random.chance(weather.recoveryLost)) {
      counts.add('recovery: lost')
      trace?.add('broker', `loses ${short(body)}`)
      return this.#receiversOf(channel)
    }
    const text = random.chance(weather.recoveryDamaged) ? damaged(this.#world, body) : body
    if (random.chance(weather.recoveryLate)) {
      setTimeout(() => this.#deliver(channel, text), random.between(0, 3000))
      return this.#receiversOf(channel)
    }
    if (random.chance(weather.duplicated)) this.#deliver(channel, text)
    return this.#deliver(channel, text)
  }

  /** As PUBLISH counts them: with a monitoring tool that listens to every channel by a pattern. */
  #receiversOf(channel: string): number {
    return this.countHolders([channel])[0]! + (this.#options.isMonitored ? 1 : 0)
  }

  #deliver(channel: string, body: string): number {
    for (const connection of this.connections) {
      if (!connection.channels.has(channel)) continue
      connection.push({ channel, body })
    }
    // Numbered messages and beacons have a line of their own.
    if (body.startsWith('{') && !body.includes('"beacon"'))
      this.#world.trace?.add('broker', `${channel} ${short(body)}`)
    return this.#receiversOf(channel)
  }

  /** As the script of the Redis backend does it. */
  beacon(floor: number): Beacon {
    const now = Date.now() + this.#clockMs
    const n = makeBeacon(Math.max(now, timeOfBeacon(this.#beacon) + 1, timeOfBeacon(floor) + 1), this.#run)
    if (this.#world.random.chance(0.7)) this.#replicated = n
    this.#beacon = n
    const receivers = this.publish(this.#options.controlChannel, encodeControl({ type: 'beacon', n }))
    this.#world.trace?.add('broker', `beacon ${n} (floor ${floor}) to ${receivers}`)
    return { n, nowMs: now }
  }

  /** The server dies, and it or its replica comes back. */
  fail({ downMs, losesData, clockStepMs }: Outage): void {
    const { trace } = this.#world
    trace?.add('broker', losesData ? 'dies, and forgets everything' : 'dies; a replica takes over')
    this.isUp = false
    for (const connection of this.connections) connection.lose()
    for (const commands of this.commands) commands.cut()
    this.#clockMs += clockStepMs
    this.#run = this.#world.random.between(0, 1023)
    this.#beacon = losesData ? 0 : this.#replicated
    if (losesData) this.sessions = new MemorySessions(this.#options.sessionTimeoutMs)
    setTimeout(() => {
      trace?.add('broker', `is up, its clock ${clockStepMs} ms off`)
      this.isUp = true
    }, downMs)
  }
}

/** Whether it is a question or an answer about what logs have; of everything else the order is the promise. */
function isOfRecovery(body: string): boolean {
  return /^\{"v":1,"type":"(?:where|whereIs|getPage|page)"/.test(body)
}

/**
 * A page from which a message is missing: on the way, so that there are fewer than it says; or as a faulty node would leave one out
 * that has a successor, so that the numbers are not consecutive.
 */
function damaged({ random, counts, trace }: World, body: string): string {
  const message = JSON.parse(body) as ControlMessage
  if (message.type !== 'page' || message.entries.length === 0) return body
  const places = message.entries.map(([position]) => parsePosition(position)!)
  const isFollowed = (i: number): boolean => places[i]!.beacon === places[i + 1]?.beacon
  const followed = places.map((_, i) => i).filter(isFollowed)
  const isLeftOut = followed.length > 0 && random.chance(0.7)
  const index = isLeftOut ? random.pick(followed) : random.between(0, places.length - 1)
  const entries = message.entries.filter((_, i) => i !== index)
  counts.add(isLeftOut ? 'recovery: left out' : 'recovery: lost in part')
  trace?.add('broker', `takes entry ${index} from ${short(body)}`)
  return encodeControl({ ...message, entries, count: message.count - (isLeftOut ? 1 : 0) })
}

/** Some bodies are longer, so that limits in bytes are met too. */
export function writeNumber(n: number): string {
  return n % 7 === 0 ? `${n} ${'.'.repeat((n * 37) % 400)}` : String(n)
}

export function readNumber(body: string): number {
  return Number.parseInt(body, 10)
}
