import type { GapReason } from '@broadcaster/protocol'
import type { Beacons } from './beacons.ts'
import type { Channel } from '../channels/channel.ts'
import type { ChannelLog } from '../channels/log.ts'
import {
  comparePositions,
  formatPosition,
  isSameRun,
  parsePosition,
  timeOfBeacon,
  type Position,
} from '../channels/position.ts'
import type { ControlMessageOf } from '../control/control.ts'
import type { ControlChannels } from './controlChannels.ts'
import type { Whereabouts } from './inquiries.ts'
import { runningTimeout } from '../time/runningTimeout.ts'
import type { WhereaboutsQuestions } from './whereabouts.ts'

/** New logs are gathered for at most this time. The time ends at the same moment on all nodes, so they gather the same channels. */
const GATHER_MS = 200
/** The maximum delay of a claim. A node that hears the claim of another node meanwhile does not send the same one. */
const CLAIM_MS = 200
/** How long to wait for a better claim. */
const SETTLE_MS = 350
/** The maximum number of positions of a channel in a claim. */
const MAX_POSITIONS = 4
/** The maximum number of channels in one claim. */
const CHANNELS_PER_CLAIM = 500

/** What {@link Beginnings} needs of the recovery. */
export interface BeginningsHost {
  readonly control: ControlChannels
  readonly beacons: Beacons
  readonly channels: ReadonlyMap<string, Channel>
  readonly questions: WhereaboutsQuestions
}

/** A new log. Other nodes may know when the last message before it was published. */
interface Pending {
  readonly channel: Channel
  readonly log: ChannelLog
  readonly start: Position
  /** Counts the claims of any node, so that only the time after the last one counts. */
  claims: number
}

/**
 * Extends new logs backwards to the last message before them, if other nodes know it: no message is between the two. So a client
 * whose last message is old can move to this node when its own node is killed.
 *
 * No client waits for this, so channels are gathered for a moment and asked about together:
 *
 * 1. Redis counts the holders of each channel. If there are no others, nobody knows more.
 * 2. One node at random is asked, if it probably holds the channels. If its own log is not new, it knows what all nodes know.
 * 3. Many nodes may have begun to hold the channel at the same time. Then one of them claims to all nodes what it knows. A node
 *    that knows more claims that. All others are silent. When no better claim comes, all nodes know what the best one knew.
 *
 * The delay of claims is random. So for each channel there are a few claims, however many nodes hold it.
 */
export class Beginnings {
  readonly #host: BeginningsHost
  readonly #pending = new Map<string, Pending>()
  #gathered: Pending[] = []
  #gathering: NodeJS.Timeout | undefined
  /** The channels of the next claim. */
  readonly #toClaim = new Set<Channel>()
  #claiming: NodeJS.Timeout | undefined

  constructor(host: BeginningsHost) {
    this.#host = host
    host.control.register({ claim: (claim) => this.#receive(claim) })
  }

  /** Whether other nodes may still know more about the time before this log. */
  isPending(name: string, log: ChannelLog): boolean {
    return this.#pending.get(name)?.log === log
  }

  /** The logs of the channels are new, and begin at the current beacon. */
  add(channels: readonly Channel[]): void {
    // If nodes have no common order, their positions cannot be compared.
    if (this.#host.beacons.isSeparate) return
    for (const channel of channels) {
      const log = channel.log!
      const pending = { channel, log, start: log.start, claims: 0 }
      this.#pending.set(channel.name, pending)
      this.#gathered.push(pending)
    }
    const restMs = GATHER_MS - (timeOfBeacon(this.#host.beacons.current) % GATHER_MS)
    if (this.#gathering === undefined) this.#gathering = setTimeout(() => this.#ask(), restMs).unref()
  }

  /** Another node knows the channel. */
  found(channel: Channel, log: ChannelLog, position: Position, { last, isAsking }: Whereabouts): void {
    reachBackTo(channel, log, position, last)
    // If the log of the other node is not new, it includes what all nodes know.
    if (!isAsking && this.isPending(channel.name, log)) this.#pending.delete(channel.name)
  }

  #ask(): void {
    const gathered = this.#gathered.filter((pending) => this.#isOpen(pending) && pending.claims === 0)
    this.#gathered = []
    this.#gathering = undefined
    const { questions, beacons } = this.#host
    questions.ask(
      gathered.map((pending) => {
        const { channel, log, start } = pending
        return {
          channel: channel.name,
          position: start,
          first: 'any',
          isNeedless: () => beacons.wasAloneAt(start.beacon),
          found: (source) => {
            this.found(channel, log, start, source)
            return !source.isAsking
          },
          done: (isFinal) => {
            if (isFinal) this.#settle(pending)
            else if (this.#isOpen(pending) && pending.claims === 0) this.#claimSoon(channel)
          },
        }
      }),
    )
  }

  #isOpen(pending: Pending): boolean {
    return this.#pending.get(pending.channel.name) === pending
  }

  #settle(pending: Pending): void {
    if (this.#isOpen(pending)) this.#pending.delete(pending.channel.name)
  }

  #claimSoon(channel: Channel): void {
    this.#toClaim.add(channel)
    // With this distribution, few nodes are early. So most of them hear the first claim before they send their own.
    const delayMs = CLAIM_MS * Math.random() ** 0.25
    if (this.#claiming === undefined) this.#claiming = setTimeout(() => this.#claim(), delayMs).unref()
  }

  #claim(): void {
    this.#claiming = undefined
    const { control, beacons } = this.#host
    if (beacons.isSeparate) this.#toClaim.clear()
    const upTo = { beacon: beacons.current, count: 0 }
    const known = [...this.#toClaim].flatMap((channel) => {
      const isHeld = this.#host.channels.get(channel.name) === channel
      const log = isHeld ? channel.logCovering(upTo) : null
      return log === null ? [] : [{ channel, positions: log.positionsUpTo(upTo, MAX_POSITIONS) }]
    })
    this.#toClaim.clear()
    for (let i = 0; i < known.length; i += CHANNELS_PER_CLAIM) {
      const part = known.slice(i, i + CHANNELS_PER_CLAIM)
      const channels = part.map(
        ({ channel, positions }) => [channel.name, ...positions.map(formatPosition)] as const,
      )
      // If it cannot be sent, the log stays as it is.
      control
        .publishToAll({ type: 'claim', node: control.node, upTo: formatPosition(upTo), channels })
        .catch(() => {})
      this.#awaitBetter(part.map(({ channel }) => channel))
    }
  }

  #receive({ node, upTo: upToText, channels }: ControlMessageOf<'claim'>): void {
    const { control, questions, beacons } = this.#host
    const upTo = parsePosition(upToText)
    if (node === control.node || upTo === null || beacons.isSeparate) return
    questions.heardOf(node)
    const asGood: Channel[] = []
    for (const [name, ...texts] of channels) {
      const channel = this.#host.channels.get(name)
      const log = channel?.logCovering(upTo)
      if (channel === undefined || log == null) continue
      const positions = texts.map(parsePosition).filter((position) => position !== null)
      const first = positions[0]
      if (positions.length < texts.length || first === undefined || !isSameRun(first.beacon, upTo.beacon))
        continue
      const isBehind = comparePositions(log.positionsUpTo(upTo, MAX_POSITIONS)[0]!, first) < 0
      if (isBehind) {
        this.#claimSoon(channel)
        continue
      }
      const last = positions.findLast((position) => comparePositions(position, log.start) <= 0)
      if (last !== undefined) reachBackTo(channel, log, log.start, last)
      this.#toClaim.delete(channel)
      asGood.push(channel)
    }
    this.#awaitBetter(asGood)
  }

  /** The channels are no longer pending if no further claim comes. */
  #awaitBetter(channels: readonly Channel[]): void {
    const waiting: { readonly pending: Pending; readonly claims: number }[] = []
    for (const { name } of channels) {
      const pending = this.#pending.get(name)
      if (pending !== undefined) waiting.push({ pending, claims: ++pending.claims })
    }
    if (waiting.length === 0) return
    runningTimeout(SETTLE_MS, () => {
      for (const { pending, claims } of waiting) if (pending.claims === claims) this.#settle(pending)
    })
  }
}

/** Extends a log that begins at or before `position` back to `last`, because no message was published between `last` and `position`. */
function reachBackTo(channel: Channel, log: ChannelLog, position: Position, last: Position): void {
  const isAdjacent =
    isSameRun(log.start.beacon, position.beacon) && comparePositions(log.start, position) <= 0
  if (channel.log !== log || !isAdjacent || comparePositions(last, log.start) >= 0) return
  log.prepend([], last, reasonBefore(channel))
}

/** The reason why messages before the new start of a log are missing. */
export function reasonBefore({ state }: Channel): GapReason {
  return state === 'filling' ? 'broker' : 'node'
}
