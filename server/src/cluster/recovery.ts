import type { GapReason } from '@broadcaster/protocol'
import type { Broker } from '../backends/backend.ts'
import { Backfills, everythingAfter, newestUpTo, type Goal, type Outcome } from './backfills.ts'
import type { Beacons } from './beacons.ts'
import { Beginnings } from './beginnings.ts'
import type { Channel } from '../channels/channel.ts'
import type { FanOut } from '../channels/fanout.ts'
import type { ChannelLog, LogLimits } from '../channels/log.ts'
import { comparePositions, isSameRun, type Position } from '../channels/position.ts'
import type { Counts } from '../metrics/counts.ts'
import type { ControlChannels } from './controlChannels.ts'
import { PageAnswers, PageQueries, type EntriesAfter } from './pages.ts'
import { Deadline } from '../time/deadline.ts'
import { WhereaboutsQuestions, type Locate } from './whereabouts.ts'

/** The maximum time for which live messages of a channel are held back while the hole before them is filled. */
const FILL_TIMEOUT_MS = 5000
/** The maximum time for which a client waits for older messages of other nodes, which it can do without. */
const GATHER_TIMEOUT_MS = 1000

/** What {@link Recovery} needs of its order. */
export interface RecoveryHost {
  readonly broker: Broker
  readonly control: ControlChannels
  readonly beacons: Beacons
  readonly fanOut: FanOut
  readonly channels: ReadonlyMap<string, Channel>
  readonly logLimits: LogLimits
  /** The maximum number of bytes of pages in flight: of pages that this node requests, and of pages that it sends. */
  readonly maxBackfillBytes: number
  readonly counts: Counts
  /** Whether the channel cannot become live, as far as is known now. */
  isHopeless(channel: Channel): boolean
}

/** The client for which a position is located. */
export interface Seeker {
  /** The client itself. Clients that wait for the same nodes take turns. */
  readonly owner: object
  readonly deadline: Deadline
  /** The node that it was on before, if it has named it. */
  readonly node: string | null
  /** Whether it is a long-poll session. Another node may have retained messages for it that this node has dropped. */
  readonly isSession: boolean
}

/**
 * - `here`: the channel is live, and its log has every message after the position
 * - `away`: the channel is not live
 * - `late`: the deadline is over before it is known whether the client can receive every message
 * - a gap, with its reason
 */
export type Located = 'here' | 'away' | 'late' | { readonly gap: GapReason }

/** Gets the messages that a log lacks from the other nodes, or finds out that no node has them. */
export class Recovery {
  readonly #host: RecoveryHost
  readonly #pageAnswers: PageAnswers
  readonly #backfills: Backfills
  readonly #beginnings: Beginnings

  constructor(host: RecoveryHost) {
    this.#host = host
    const { control, broker, beacons, channels, maxBackfillBytes } = host
    const locate: Locate = (channel, position) => this.#locateHere(channel, position)
    const questions = new WhereaboutsQuestions(control, broker, locate)
    const beginnings = (this.#beginnings = new Beginnings({ control, beacons, channels, questions }))
    const entriesAfter: EntriesAfter = (channel, after) => this.#entriesAfter(channel, after)
    this.#pageAnswers = new PageAnswers(control, entriesAfter, maxBackfillBytes)
    const pages = new PageQueries(control)
    this.#backfills = new Backfills(questions, beginnings, pages, maxBackfillBytes, host.counts)
  }

  /** The bytes of pages that are requested from other nodes, or sent to them. */
  get bytesInFlight(): number {
    return this.#backfills.bytesInFlight + this.#pageAnswers.bytesInFlight
  }

  /** The channels count messages from the current beacon on. Earlier messages are requested from the other nodes. */
  begin(channels: readonly Channel[]): void {
    for (const channel of channels) channel.begin(this.#host.beacons.current, this.#host.logLimits)
    const holes = channels.filter(({ state }) => state === 'filling')
    if (holes.length > 0) this.#fill(holes)
    const fresh = channels.filter(({ state, log }) => state === 'live' && log !== null)
    if (fresh.length > 0) this.#beginnings.add(fresh)
  }

  /** Waits until the channel is live and its log reaches back to `since`. Asks other nodes for what the log lacks. */
  async locate(channel: Channel, since: Position | null, seeker: Seeker): Promise<Located> {
    const { deadline, isSession } = seeker
    let hasAskedBroker = false
    let hasAskedNodes = false
    let wasBroken = false
    for (;;) {
      if (channel.state !== 'live' && !this.#host.isHopeless(channel)) await deadline.wait(channel.settled)
      // Meanwhile, the channel may have moved to another order.
      const isOurs = this.#host.channels.get(channel.name) === channel
      if (channel.state !== 'live' || !isOurs) return 'away'
      if (since === null) return 'here'
      const log = channel.log!
      const head = channel.lastPosition(this.#host.beacons.current)
      const isOfThisRun = isSameRun(since.beacon, head.beacon)
      if (!isOfThisRun || comparePositions(since, head) > 0) {
        // The client has a message that this node has not received yet. A new beacon comes after that message, so this
        // node has received the message when it has received the beacon.
        if (hasAskedBroker) return { gap: isOfThisRun ? 'expired' : 'broker' }
        await deadline.wait(this.#host.beacons.fresh())
        if (deadline.isOver) return 'late'
        hasAskedBroker = true
      } else if (this.#host.beacons.isForeign(since)) {
        return { gap: 'broker' }
      } else if (log.covers(since)) {
        return 'here'
      } else if ((log.isTrimmed && !isSession) || hasAskedNodes) {
        return { gap: log.startReason }
      } else {
        const outcome = await this.#reach(channel, everythingAfter(since), seeker)
        if (outcome === 'late') return 'late'
        // While the connection is broken, the answers of other nodes are lost. So they are asked again when it works, and if there is
        // no time left for that, the client asks again.
        const isBroken = channel.state !== 'live' || channel.log !== log
        wasBroken ||= isBroken
        if (outcome !== 'refused') continue
        if (wasBroken && deadline.isOver) return 'late'
        hasAskedNodes = !isBroken
      }
    }
  }

  /**
   * Extends the log of a live channel backwards, until it has `max` messages up to `position`, or all that any node has. A node
   * that does not answer in time is not waited for.
   */
  async gather(
    channel: Channel,
    position: Position,
    max: number,
    seeker: Pick<Seeker, 'owner' | 'node'>,
  ): Promise<void> {
    const { log } = channel
    // If this log has dropped messages, the others have dropped them too.
    if (log === null || log.isTrimmed || log.sizeUpTo(position) >= max) return
    const deadline = new Deadline(GATHER_TIMEOUT_MS)
    await this.#reach(channel, newestUpTo(position, max), { ...seeker, deadline, isSession: false })
  }

  /** Gets the messages that channels missed while the connection was broken, and delivers them. */
  #fill(channels: readonly Channel[]): void {
    const seeker = { owner: this, deadline: new Deadline(FILL_TIMEOUT_MS), node: null, isSession: false }
    for (const channel of channels) {
      const log = channel.log!
      void this.#reach(channel, everythingAfter(channel.before!.head), seeker).then(() => {
        // If the connection broke again, the next call also fills this hole.
        if (channel.state === 'filling' && channel.log === log) this.#goLive(channel, log)
      })
    }
  }

  #goLive(channel: Channel, log: ChannelLog): void {
    const before = channel.before!
    channel.before = null
    const isFilled = log.covers(before.head)
    if (isFilled && comparePositions(before.start, log.start) < 0) {
      log.prepend(before.after(before.start), before.start, before.startReason)
    }
    channel.live()
    for (const subscriber of channel.subscribers) {
      // A lagging subscriber detects the gap when it reads on from the log.
      if (!isFilled && !subscriber.isLagging) subscriber.gap(channel, log.start, log.startReason)
    }
    // No message was delivered since the connection broke.
    for (const entry of log.after(isFilled ? before.head : log.start)) this.#host.fanOut.add(channel, entry)
    this.#host.fanOut.flush()
    for (const subscriber of channel.subscribers) if (subscriber.isLagging) subscriber.catchUp()
    for (const reader of channel.logReaders) reader.wake(channel)
  }

  async #reach(channel: Channel, goal: Goal, seeker: Seeker): Promise<Outcome> {
    // No other node has messages with positions of this run.
    if (this.#host.beacons.isSeparate) return 'refused'
    return this.#backfills.reach(channel, goal, seeker)
  }

  #locateHere(name: string, position: Position): ReturnType<Locate> {
    const channel = this.#host.channels.get(name)
    if (channel === undefined || channel.state === 'joining') return undefined
    const log = channel.logCovering(position)
    return (
      log && {
        start: log.start,
        last: log.lastUpTo(position),
        isAsking: this.#beginnings.isPending(name, log),
      }
    )
  }

  #entriesAfter(name: string, after: Position | null): ReturnType<EntriesAfter> {
    const channel = this.#host.channels.get(name)
    const from = after ?? channel?.log?.start
    const isForeign = after !== null && this.#host.beacons.isForeign(after)
    const log = from && !isForeign && channel?.logCovering(from)
    return log ? { start: log.lastUpTo(from), entries: log.after(from) } : null
  }
}
