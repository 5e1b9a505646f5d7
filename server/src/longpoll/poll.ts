import type { Answer } from './answers.ts'
import type { Channel, LogReader } from '../channels/channel.ts'
import { dueAt, gapOf, type Cursor } from './cursor.ts'
import type { Deadline } from '../time/deadline.ts'
import { ChannelRefused, logFailure } from '../errors.ts'
import type { Hub } from '../hub/hub.ts'
import type { GapReason } from '@broadcaster/protocol'
import type { EventLogger } from '../logger.ts'
import { comparePositions, isSameRun, parsePosition, type Position } from '../channels/position.ts'
import { NOTHING, PollAnswer, type PollAnswerHost } from './pollAnswer.ts'
import type { SessionReader } from '../channels/undelivered.ts'
import { uptimeMs } from '../time/uptime.ts'

/** What a poll needs of the server. */
export interface PollHost extends PollAnswerHost {
  readonly hub: Hub
  readonly logger: EventLogger
  /** The deadline for a confirmation of Redis. */
  deadline(): Deadline
  /** The reader that retains messages for a session. Must be called only for a session that exists. */
  readerOf(session: string): SessionReader
}

/** How long a message waits for further messages. */
export interface Gathering {
  /** `pollTime`, in ms. */
  readonly ms: number
  /**
   * The time of the session's last answer with messages on this node, or `null` if every message waits for {@link ms}. A lone
   * message waits only until {@link ms} after that answer, and after the last message before it.
   */
  readonly answeredAt: number | null
}

/** A timer may fire this much earlier than the clock says, because the clock and the event loop both count whole ms. */
const EARLY_MS = 1

/** A waiting poll. It has a cursor in the log of each channel of the session, and waits for messages after the cursors. */
export class Poll implements LogReader {
  /** The name by which the store and other nodes know it. It changes if the store has an older poll as the newer one. */
  id: string
  /** The order of arrival on this node. */
  readonly order: number
  readonly seq: string
  /** Whether a poll with the same `seq` has ended it, that is, the same poll sent again. */
  isRepeated = false
  /** Whether it is no longer the session's poll. */
  isReplaced = false
  /** Whether the channels of the session have changed since the poll began. */
  hasChanged = false
  /** See {@link PollAnswer}. */
  delivered = NOTHING
  /** Whether the answer contains messages. */
  hasDelivered = false
  /** The generation of the session. A newer connection of the client ends the session. */
  generation = 0
  /** The channels of the session that the broker refuses. */
  refusals: readonly string[] = []
  readonly #host: PollHost
  readonly #session: string
  /** The last position of the answer for each channel with messages in it, if the poll is a repetition; otherwise `null`. */
  #ends: Readonly<Record<string, string>> | null = null
  readonly #cursors = new Map<string, Cursor>()
  /** The current lookup of each channel. The channel may be lost and subscribed again while an older lookup is running. */
  #lookups: Map<string, object> | null = null
  /** The channels that the session has lost since the poll began. */
  #lost: Set<string> | null = null
  #isStopped = false
  #isEnded = false
  /** Ends the wait; `null` while it does not wait. */
  #resolve: (() => void) | null = null
  #timer: NodeJS.Timeout | undefined
  /** How it gathers messages when the first one comes; `null` while it does not wait for the first one. */
  #gathering: Gathering | null = null

  constructor(host: PollHost, session: string, id: string, order: number, seq: string) {
    this.#host = host
    this.#session = session
    this.id = id
    this.order = order
    this.seq = seq
  }

  /**
   * The poll repeats one that was answered, with messages up to these positions. The client may have received that answer or
   * not. So this answer gets the same messages, and the next poll confirms the same with either of them.
   */
  repeat(positions: Readonly<Record<string, string>>): void {
    this.#ends = positions
  }

  /**
   * Reads the channel from the position `since`. `null` is a position that could not be parsed. Returns `null` if the channel is
   * read from now on, and a promise if the messages have to be looked for.
   */
  watch(name: string, since: Position | null): Promise<void> | null {
    if (this.#lost?.has(name) === true) return null
    const channel = since === null ? null : this.#host.hub.watchNow(this, name, since)
    if (since === null || channel === null) return this.#lookUp(name, since)
    this.#reader.retainFrom(channel, since)
    this.#cursors.set(name, { channel, from: since, gap: null, end: this.#endOf(name, since) })
    return null
  }

  async #lookUp(name: string, since: Position | null): Promise<void> {
    const lookup = {}
    const lookups = (this.#lookups ??= new Map())
    lookups.set(name, lookup)
    const isCurrent = (): boolean => lookups.get(name) === lookup
    const { hub } = this.#host
    // Whether this node has retained the messages after `since` for the session. If not, another node has, and it may still have
    // the messages that have overflowed here. An earlier poll may have retained later ones and not have been answered.
    let wasRetainedHere = false
    const retain = (channel: Channel, from: Position): void => {
      const reader = this.#reader
      const retained = reader.cursorIn(channel)
      wasRetainedHere = retained !== null && since !== null && !isAfter(retained, since)
      if (isCurrent()) reader.retainFrom(channel, from)
    }
    const watching = hub.watch(this, name, since, this.#host.deadline(), retain)
    const found = await watching.catch((error: unknown) => {
      if (!(error instanceof ChannelRefused)) throw error
      return null
    })
    if (found === null) return this.#refuse(name)
    const { channel, from, gap } = found
    if (this.#isStopped || !isCurrent()) {
      // The session has lost the channel meanwhile. It may have subscribed again, so that a newer lookup uses the channel.
      if (this.#isStopped || !this.#cursors.has(name)) hub.unwatch(this, channel)
      return
    }
    const reason = gap === 'overflow' && !wasRetainedHere ? 'node' : gap
    const end = this.#endOf(name, from)
    this.#cursors.set(name, { channel, from, gap: since === null ? 'expired' : reason, end })
    this.wake(channel)
  }

  /** The session has subscribed to a channel. */
  gained(name: string, position: string): void {
    // The poll already has a cursor or a lookup. It is not older, because the client may have sent its position.
    if (this.hasGained(name)) return
    this.#lost?.delete(name)
    // If this fails, the next poll gets the channel from the session.
    this.watch(name, parsePosition(position))?.catch((error: unknown) => {
      logFailure(this.#host.logger, 'pollFailed', error, 'A poll could not get a channel')
    })
  }

  /** Whether the session has the channel, and the poll reads it or is about to. */
  hasGained(name: string): boolean {
    return this.#cursors.has(name) || this.#lookups?.has(name) === true
  }

  /** The session has lost a channel. */
  lost(name: string): void {
    this.#lost = (this.#lost ?? new Set()).add(name)
    this.#lookups?.delete(name)
    const cursor = this.#cursors.get(name)
    if (cursor !== undefined) this.#host.hub.unwatch(this, cursor.channel)
    this.#cursors.delete(name)
    this.#reader.forget(name)
  }

  wake({ name }: Channel): void {
    const cursor = this.#cursors.get(name)
    if (cursor === undefined) return
    if (this.#resolve === null) return
    if (this.#ends !== null) {
      if (this.#isComplete) this.#endWait()
    } else if (this.#gathering !== null) {
      const gathering = this.#gathering
      const dueMs = this.#dueMs(gathering)
      if (dueMs === Infinity) return
      this.#gathering = null
      clearTimeout(this.#timer)
      this.#gather(dueMs, gathering)
      // If the poll continued to gather, the log could drop messages.
    } else if (cursor.channel.log.isUrgent(cursor.from)) this.#endWait()
  }

  refused({ name }: Channel): void {
    this.#refuse(name)
  }

  /** The answer will say that the session is over. */
  expire(): void {
    this.end()
  }

  /** Ends the wait. */
  end(): void {
    this.#isEnded = true
    this.#endWait()
  }

  /**
   * Waits until there is something to answer with, at most `longestMs`. A message waits for others from its arrival on, whether a
   * poll was waiting then or not.
   */
  news(longestMs: number, gathering: Gathering): Promise<void> {
    const dueMs = this.#dueMs(gathering)
    if (this.#isEnded || dueMs <= 0) return Promise.resolve()
    if (dueMs === Infinity) {
      this.#gathering = gathering
      return this.#wait(longestMs)
    }
    return new Promise((resolve) => {
      this.#resolve = resolve
      this.#gather(dueMs, gathering)
    })
  }

  /** Stops reading. Resolves when the poll is ended, after `longestMs` at the latest. */
  async ended(longestMs: number): Promise<void> {
    this.stop()
    if (!this.#isEnded) await this.#wait(longestMs)
  }

  #wait(longestMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#resolve = resolve
      this.#timer = setTimeout(() => this.#endWait(), longestMs)
    })
  }

  /** Waits for further messages, and then ends the wait. */
  #gather(ms: number, gathering: Gathering): void {
    if (ms <= 0) return this.#endWait()
    this.#timer = setTimeout(() => {
      // Others may have come since, so that a lone message has to wait for longer.
      const moreMs = this.#dueMs(gathering)
      if (moreMs <= EARLY_MS || moreMs === Infinity) this.#endWait()
      else this.#gather(moreMs, gathering)
    }, ms)
  }

  #endWait(): void {
    clearTimeout(this.#timer)
    this.#gathering = null
    this.#resolve?.()
    this.#resolve = null
  }

  /** Why messages are missing, if it is for another reason than an overflow of this node. */
  get gap(): GapReason | null {
    return [...this.#cursors.values()].map(gapOf).find((gap) => gap !== null && gap !== 'overflow') ?? null
  }

  get #reader(): SessionReader {
    return this.#host.readerOf(this.#session)
  }

  /** The answer with the messages after the cursors: all of them, or as many as fit into an answer. */
  answer(withPositions: boolean): Answer {
    const { answer, delivered, hasMessages } = new PollAnswer(
      this.#host,
      this.#cursors,
      withPositions,
      this.#ends !== null,
    )
    this.delivered = delivered
    this.hasDelivered = hasMessages
    return answer
  }

  /** Stops reading from the channels. */
  stop(): void {
    this.#isStopped = true
    for (const { channel } of this.#cursors.values()) this.#host.hub.unwatch(this, channel)
  }

  #endOf(name: string, from: Position): Position | null {
    if (this.#ends === null) return null
    const end = Object.hasOwn(this.#ends, name) ? parsePosition(this.#ends[name]!) : null
    return end !== null && isSameRun(end.beacon, from.beacon) ? end : from
  }

  /** Whether there is everything that the answer to a repetition has to contain. */
  get #isComplete(): boolean {
    return [...this.#cursors.values()].every((cursor) => {
      const { channel, from, end } = cursor
      if (end === null || comparePositions(from, end) >= 0 || gapOf(cursor) !== null) return true
      return channel.state === 'live' && comparePositions(channel.log.head, end) >= 0
    })
  }

  #refuse(name: string): void {
    this.refusals = [...this.refusals, name]
    this.#cursors.delete(name)
    this.end()
  }

  /** The time until the poll has to be answered, in ms; `Infinity` while there is nothing to answer with. */
  #dueMs({ ms, answeredAt }: Gathering): number {
    if (this.#ends !== null) return this.#isComplete ? 0 : Infinity
    let earliest = Infinity
    for (const cursor of this.#cursors.values()) earliest = Math.min(earliest, dueAt(cursor))
    if (earliest === Infinity) return Infinity
    if (earliest === -Infinity) return 0
    let due = earliest + ms
    if (answeredAt !== null) {
      const quietAt = Math.max(answeredAt, this.#lastArrival()) + ms
      if (earliest >= quietAt) return 0
      if (this.#isLone) due = Math.min(due, quietAt)
    }
    // The age of a message from another node comes from that node, so it may be wrong. No message waits longer than a new one.
    return Math.min(Math.max(0, due - uptimeMs()), ms)
  }

  /** Whether the answer would contain a single message. */
  get #isLone(): boolean {
    let count = 0
    for (const { channel, from } of this.#cursors.values()) {
      if (channel.state === 'live') count += channel.log.sizeAfter(from)
      if (count > 1) return false
    }
    return true
  }

  /**
   * When the last message that the client has arrived, as far as the logs know it. A session may send each poll to another node,
   * which does not know the time of its last answer.
   */
  #lastArrival(): number {
    let last = -Infinity
    for (const { channel, from } of this.#cursors.values())
      last = Math.max(last, channel.log.arrivalUpTo(from))
    return last
  }
}

/** Whether the position is of another run, or is after the other one. */
function isAfter(position: Position, other: Position): boolean {
  return !isSameRun(position.beacon, other.beacon) || comparePositions(position, other) > 0
}
