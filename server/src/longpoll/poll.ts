import type { GapReason } from '@broadcaster/protocol'
import type { Answer } from './answers.ts'
import type { Channel, LoggedChannel, LogReader } from '../channels/channel.ts'
import type { Deadline } from '../time/deadline.ts'
import { ChannelRefused, logFailure } from '../errors.ts'
import { entryText } from '../channels/frames.ts'
import { answeredBytes, gather, type Run } from './gather.ts'
import type { Hub } from '../hub/hub.ts'
import type { Logger } from '../logger.ts'
import {
  comparePositions,
  formatPosition,
  isSameRun,
  parsePosition,
  type Position,
} from '../channels/position.ts'
import type { SharedTexts } from './sharedTexts.ts'
import type { SessionReader } from '../channels/undelivered.ts'
import { uptimeMs } from '../time/uptime.ts'

/** What a poll needs of the server. */
export interface PollHost {
  readonly hub: Hub
  readonly logger: Logger
  /** The maximum number of bytes of messages in one answer. The next poll gets the rest. */
  readonly maxAnswerBytes: number
  readonly texts: SharedTexts
  /** Called when an answer does not hold all messages. */
  answerCut(): void
  /** The deadline for a confirmation of Redis. */
  deadline(): Deadline
}

/** How long a message waits for further messages. */
export interface Gathering {
  /** `pollTime`, in ms. */
  readonly ms: number
  /**
   * The time of the session's last answer with messages on this node, or `null` if a message waits in any case. After a quiet
   * time of {@link ms} without a message and without such an answer, a message does not wait.
   */
  readonly answeredAt: number | null
}

/** A channel of a poll, and the position from which it is read. */
interface Cursor {
  readonly channel: LoggedChannel
  readonly from: Position
  /** Why messages before `from` are missing; `null` if none are. */
  readonly gap: GapReason | null
  /** The last position of the answer, if the poll is a repetition; `null`: the answer has all messages that there are. */
  readonly end: Position | null
}

/** A waiting poll. It has a cursor in the log of each channel of the session, and waits for messages after the cursors. */
export class Poll implements LogReader {
  readonly id: string
  /** The order of arrival on this node. */
  readonly order: number
  readonly seq: string
  /** Whether a poll with the same `seq` has ended it, that is, the same poll sent again. */
  isRepeated = false
  /** Whether it is no longer the session's poll. */
  isReplaced = false
  /** The position after the answer, for each channel of which it contains messages. */
  readonly delivered = Object.create(null) as Record<string, string>
  /** The generation of the session. A newer connection of the client ends the session. */
  generation = 0
  /** The channels of the session that the broker refuses. */
  readonly refusals = new Set<string>()
  readonly #host: PollHost
  readonly #reader: () => SessionReader
  /** The last position of the answer for each channel with messages in it, if the poll is a repetition; otherwise `null`. */
  #ends: Readonly<Record<string, string>> | null = null
  readonly #cursors = new Map<string, Cursor>()
  /** The current lookup of each channel. The channel may be lost and subscribed again while an older lookup is running. */
  readonly #lookups = new Map<string, object>()
  /** The channels that the session has lost since the poll began. */
  readonly #lost = new Set<string>()
  #isStopped = false
  #isEnded = false
  #onNews: (() => void) | null = null
  #onEnd: (() => void) | null = null

  /** @param reader Returns the reader that retains messages for the session. It is called when the session is known to exist. */
  constructor(host: PollHost, node: string, order: number, seq: string, reader: () => SessionReader) {
    this.#host = host
    this.id = `${node}/${order}`
    this.order = order
    this.seq = seq
    this.#reader = reader
  }

  /**
   * The poll repeats one that was answered, with messages up to these positions. The client may have received that answer or
   * not. So this answer gets the same messages, and the next poll confirms the same with either of them.
   */
  repeat(positions: Readonly<Record<string, string>>): void {
    this.#ends = positions
  }

  /** Reads the channel from the position `since`. `null` is a position that could not be parsed. */
  async watch(name: string, since: Position | null): Promise<void> {
    if (this.#lost.has(name)) return
    const lookup = {}
    this.#lookups.set(name, lookup)
    const isCurrent = (): boolean => this.#lookups.get(name) === lookup
    const { hub } = this.#host
    // Whether this node has retained messages for the session. If not, another node has, and it may still have the messages
    // that have overflowed here.
    let wasRetainedHere = false
    const retain = (channel: Channel, from: Position): void => {
      const reader = this.#reader()
      wasRetainedHere = reader.cursorIn(channel) !== null
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
    if (this.#lookups.has(name)) return
    this.#lost.delete(name)
    // If this fails, the next poll gets the channel from the session.
    this.watch(name, parsePosition(position)).catch((error: unknown) => {
      logFailure(this.#host.logger, error, 'A poll could not get a channel')
    })
  }

  /** Whether the session has the channel, and the poll reads it or is about to. */
  hasGained(name: string): boolean {
    return this.#lookups.has(name)
  }

  /** The session has lost a channel. */
  lost(name: string): void {
    this.#lost.add(name)
    this.#lookups.delete(name)
    const cursor = this.#cursors.get(name)
    if (cursor !== undefined) this.#host.hub.unwatch(this, cursor.channel)
    this.#cursors.delete(name)
    this.#reader().forget(name)
  }

  wake({ name }: Channel): void {
    const cursor = this.#cursors.get(name)
    if (cursor === undefined) return
    if (this.#ends !== null) {
      if (this.#isComplete) this.#onEnd?.()
      return
    }
    if (this.#onNews !== null && dueAt(cursor) !== Infinity) this.#onNews()
    // If the poll continued to gather, the log could drop messages.
    else if (this.#onEnd !== null && cursor.channel.log.isUrgent(cursor.from)) this.#onEnd()
  }

  refused({ name }: Channel): void {
    this.#refuse(name)
  }

  /** Ends the wait. */
  end(): void {
    this.#isEnded = true
    this.#onEnd?.()
  }

  /**
   * Waits until there is something to answer with, at most `longestMs`. A message waits for others from its arrival on, whether a
   * poll was waiting then or not.
   */
  async news(longestMs: number, gathering: Gathering): Promise<void> {
    const dueMs = this.#dueMs(gathering)
    if (this.#isEnded || dueMs <= 0) return
    await new Promise<void>((resolve) => {
      const isThere = dueMs !== Infinity
      let timer = setTimeout(resolve, isThere ? dueMs : longestMs)
      this.#onEnd = () => {
        clearTimeout(timer)
        resolve()
      }
      if (isThere) return
      this.#onNews = () => {
        this.#onNews = null
        clearTimeout(timer)
        const ms = this.#dueMs(gathering)
        if (ms <= 0) resolve()
        else timer = setTimeout(resolve, ms)
      }
    })
    this.#onNews = null
    this.#onEnd = null
  }

  /** Stops reading. Resolves when the poll is ended, after `longestMs` at the latest. */
  async ended(longestMs: number): Promise<void> {
    this.stop()
    if (this.#isEnded) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, longestMs)
      this.#onEnd = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.#onEnd = null
  }

  /** Whether messages are missing for another reason than an overflow of this node. */
  get hasGap(): boolean {
    return [...this.#cursors.values()].some((cursor) => (gapOf(cursor) ?? 'overflow') !== 'overflow')
  }

  /** Whether the answer contains messages. */
  get hasDelivered(): boolean {
    return Object.keys(this.delivered).length > 0
  }

  /** The answer with the messages after the cursors: all of them, or as many as fit into an answer. */
  answer(withPositions: boolean): Answer {
    const { maxAnswerBytes } = this.#host
    const gaps: string[] = []
    const runs: Run[] = []
    for (const [name, cursor] of this.#cursors) {
      const { channel } = cursor
      const { log } = channel
      // While a hole is being filled, the messages would be in the wrong order. The next poll gets them.
      if (channel.state !== 'live') continue
      const gap = gapOf(cursor)
      const from = log.covers(cursor.from) ? cursor.from : log.start
      if (gap !== null) {
        const position = formatPosition(from)
        // A client that can not be told of the gap also continues from this position.
        if (withPositions) gaps.push(JSON.stringify({ __type: 'gap', channel: name, position, reason: gap }))
        else this.delivered[name] = position
      }
      const after = log.after(from, maxAnswerBytes)
      const { end } = cursor
      const entries = end === null ? after : after.filter((entry) => comparePositions(entry, end) <= 0)
      if (entries.length > 0) runs.push({ channel, entries })
    }
    const messages =
      runs.length === 1 ? this.#one(runs[0]!, withPositions) : this.#merged(runs, withPositions)
    return { status: 200, body: `[${[...gaps, ...messages].join(',')}]` }
  }

  /** The messages of a single channel. This is the common case, in which many polls have the same answer. */
  #one({ channel, entries }: Run, withPositions: boolean): string[] {
    let bytes = 0
    const over = entries.findIndex(
      (entry) => (bytes += answeredBytes(channel, entry)) > this.#host.maxAnswerBytes,
    )
    const given = over === -1 ? entries : entries.slice(0, Math.max(1, over))
    const last = given.at(-1)!
    this.delivered[channel.name] = formatPosition(last)
    if (this.#ends === null && channel.log.firstAfter(last) !== null) this.#host.answerCut()
    return [this.#host.texts.of(channel, given, withPositions)]
  }

  /** The messages of several channels, in the order of their arrival. */
  #merged(runs: readonly Run[], withPositions: boolean): string[] {
    const given = gather(runs, this.#host.maxAnswerBytes)
    const last = new Map(given.map(({ channel, entry }) => [channel, entry]))
    for (const [channel, entry] of last) this.delivered[channel.name] = formatPosition(entry)
    const isComplete = runs.every(({ channel }) => {
      const entry = last.get(channel)
      return entry !== undefined && channel.log.firstAfter(entry) === null
    })
    if (this.#ends === null && !isComplete) this.#host.answerCut()
    return given.map(({ channel, entry }) => entryText(entry, channel.nameJson, withPositions))
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
    this.refusals.add(name)
    this.#cursors.delete(name)
    this.end()
  }

  /** The time until the poll has to be answered, in ms; `Infinity` while there is nothing to answer with. */
  #dueMs({ ms, answeredAt }: Gathering): number {
    if (this.#ends !== null) return this.#isComplete ? 0 : Infinity
    let earliest = Infinity
    for (const cursor of this.#cursors.values()) earliest = Math.min(earliest, dueAt(cursor))
    if (earliest === Infinity) return Infinity
    if (answeredAt !== null && earliest - Math.max(answeredAt, this.#lastArrival()) >= ms) return 0
    // The age of a message from another node comes from that node, so it may be wrong. No message waits longer than a new one.
    return Math.min(Math.max(0, earliest + ms - uptimeMs()), ms)
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

/**
 * The time since which the first message after the cursor waits; `-Infinity` if the answer can not wait, `Infinity` if there is
 * nothing to answer with.
 */
function dueAt(cursor: Cursor): number {
  const { channel, from } = cursor
  if (channel.state !== 'live') return Infinity
  const { log } = channel
  // A gap need not wait, and messages that the log may soon drop must not wait.
  if (gapOf(cursor) !== null || log.isUrgent(from)) return -Infinity
  return log.firstAfter(from)?.receivedAt ?? Infinity
}

function gapOf({ channel, from, gap }: Cursor): GapReason | null {
  if (gap !== null) return gap
  const { log } = channel
  return channel.state === 'live' && !log.covers(from) ? log.startReason : null
}
