import type { GapReason } from '@broadcaster/protocol'
import { Backfills, reachBackTo, type Outcome } from './backfills.ts'
import type { Beacons } from './beacons.ts'
import type { Channel } from '../channels/channel.ts'
import type { FanOut } from '../channels/fanout.ts'
import type { ChannelLog } from '../channels/log.ts'
import { comparePositions, isSameRun, type Position } from '../channels/position.ts'
import type { ControlMessage } from '../control/control.ts'
import { PageAnswers, PageQueries, type PageAnswersHost } from './pages.ts'
import { Deadline } from '../time/deadline.ts'
import { WhereaboutsQuestions, type WhereaboutsHost } from './whereabouts.ts'

/** How long live messages of a channel are held back while the hole before them is being filled. */
const FILL_TIMEOUT_MS = 5000

/** What {@link Recovery} needs of the hub. */
export interface RecoveryHost extends Omit<WhereaboutsHost, 'locate'> {
  /** Whether other nodes number messages alike. */
  readonly isOrdered: boolean
  readonly beacons: Beacons
  readonly fanOut: FanOut
  /** Bytes of pages in flight at most: of those that this node asks for, and of those that it answers with. */
  readonly maxBackfillBytes: number
  channel(name: string): Channel | undefined
  headOf(channel: Channel): Position
  /** Whether the channel won't be live, for all that is known now. */
  isHopeless(channel: Channel): boolean
}

/** For whom a place is looked for. */
export interface Seeker {
  /** The client: clients that wait for the same nodes have turns. */
  readonly owner: object
  readonly deadline: Deadline
  /** Whether another node may have kept for it what was thrown away here: it is a long-poll session. */
  readonly isSession: boolean
}

/**
 * - `here`: the channel is live, and its log has everything after the place
 * - `away`: the channel is not live
 * - `late`: the deadline is over, and it is not known yet whether the client can be given everything
 * - a gap, for this reason
 */
export type Located = 'here' | 'away' | 'late' | { readonly gap: GapReason }

/** The messages that nodes recover with. */
export type RecoveryMessage = Extract<ControlMessage, { type: 'where' | 'whereIs' | 'getPage' | 'page' }>

/** Gets what a log lacks from the other nodes, or says that it is not to be had. */
export class Recovery {
  readonly #host: RecoveryHost
  readonly #questions: WhereaboutsQuestions
  readonly #pageQueries: PageQueries
  readonly #pageAnswers: PageAnswers
  readonly #backfills: Backfills

  constructor(host: RecoveryHost) {
    this.#host = host
    this.#questions = new WhereaboutsQuestions({
      ...host,
      locate: (channel, at) => this.#locateHere(channel, at),
    })
    this.#pageQueries = new PageQueries(host)
    const entriesAfter: PageAnswersHost['entriesAfter'] = (channel, after) =>
      this.#entriesAfter(channel, after)
    this.#pageAnswers = new PageAnswers({ ...host, entriesAfter }, host.maxBackfillBytes)
    this.#backfills = new Backfills(this.#questions, this.#pageQueries, host.maxBackfillBytes)
  }

  control(message: RecoveryMessage): void {
    switch (message.type) {
      case 'where':
        return this.#questions.answer(message)
      case 'whereIs':
        return this.#questions.receive(message)
      case 'getPage':
        return this.#pageAnswers.answer(message)
      case 'page':
        return this.#pageQueries.receive(message)
    }
  }

  /**
   * Lets logs that have just begun reach back over the quiet before, of which other nodes know. So clients whose last message is
   * an old one can come here when the node that gave it to them is killed.
   */
  reachBack(channels: readonly Channel[]): void {
    if (!this.#host.isOrdered) return
    const inquiries = channels.map((channel) => {
      const log = channel.log!
      const at = log.start
      return {
        channel: channel.name,
        at,
        found: ({ last }: { last: Position }) => reachBackTo(channel, log, at, last),
        done: () => {},
      }
    })
    this.#questions.ask(inquiries)
  }

  /** Waits until the channel is live and its log reaches back to `since`, for which other nodes are asked if need be. */
  async locate(channel: Channel, since: Position | null, seeker: Seeker): Promise<Located> {
    const { deadline, isSession } = seeker
    let hasAskedBroker = false
    let hasAskedNodes = false
    for (;;) {
      if (channel.state !== 'live' && !this.#host.isHopeless(channel)) await deadline.wait(channel.settled)
      if (channel.state !== 'live') return 'away'
      if (since === null) return 'here'
      const log = channel.log!
      const head = this.#host.headOf(channel)
      const isOfThisRun = isSameRun(since.beacon, head.beacon)
      if (!isOfThisRun || comparePositions(since, head) > 0) {
        // Another node was faster than this one. Once a beacon from now has come, what that one had has come too.
        if (hasAskedBroker) return { gap: isOfThisRun ? 'expired' : 'broker' }
        await deadline.wait(this.#host.beacons.fresh())
        if (deadline.isOver) return 'late'
        hasAskedBroker = true
      } else if (log.covers(since)) {
        return 'here'
      } else if ((log.isTrimmed && !isSession) || hasAskedNodes) {
        return { gap: log.startReason }
      } else {
        const outcome = await this.#reach(channel, since, seeker)
        if (outcome === 'late') return 'late'
        hasAskedNodes = outcome === 'refused'
      }
    }
  }

  /** Fills what channels missed while the connection was broken, and delivers it. */
  fill(channels: readonly Channel[]): void {
    const seeker = { owner: this, deadline: new Deadline(FILL_TIMEOUT_MS), isSession: false }
    for (const channel of channels) {
      const log = channel.log!
      void this.#reach(channel, channel.before!.head, seeker).then(() => {
        // If the connection broke again, the next filling is for this hole too.
        if (channel.state === 'filling' && channel.log === log) this.#settle(channel, log)
      })
    }
  }

  #settle(channel: Channel, log: ChannelLog): void {
    const before = channel.before!
    channel.before = null
    const isFilled = log.covers(before.head)
    if (isFilled && comparePositions(before.start, log.start) < 0) {
      log.prepend(before.after(before.start), before.start, before.startReason)
    }
    channel.live()
    for (const subscriber of channel.subscribers) {
      // A lagging one finds out by itself when it reads on.
      if (!isFilled && !subscriber.isLagging) subscriber.gap(channel, log.start, log.startReason)
    }
    // Nobody was given anything since the connection broke.
    for (const entry of log.after(isFilled ? before.head : log.start)) this.#host.fanOut.add(channel, entry)
    this.#host.fanOut.flush()
    for (const subscriber of channel.subscribers) if (subscriber.isLagging) subscriber.catchUp()
    for (const waiter of channel.waiters) waiter.wake(channel)
  }

  async #reach(channel: Channel, since: Position, { owner, deadline }: Seeker): Promise<Outcome> {
    // Without one order for all, the others' positions are other places.
    if (!this.#host.isOrdered) return 'refused'
    return this.#backfills.reach(channel, since, owner, deadline)
  }

  #locateHere(name: string, at: Position): { start: Position; last: Position } | null {
    const log = this.#logOf(name, at)
    return log && { start: log.start, last: log.lastUpTo(at) }
  }

  #entriesAfter(name: string, after: Position): ReturnType<PageAnswersHost['entriesAfter']> {
    const log = this.#logOf(name, after)
    return log && { start: log.lastUpTo(after), entries: log.after(after) }
  }

  /** The channel's log, if it is complete and has everything after `place`. */
  #logOf(name: string, place: Position): ChannelLog | null {
    const channel = this.#host.channel(name)
    return channel?.state === 'live' && channel.log?.covers(place) === true ? channel.log : null
  }
}
