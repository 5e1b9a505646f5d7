import type { GapReason } from '@broadcaster/protocol'
import type { Answer } from './answers.ts'
import type { Channel, LoggedChannel, LogReader } from '../channels/channel.ts'
import type { Deadline } from '../time/deadline.ts'
import { ChannelRefused } from '../errors.ts'
import { entryText } from '../channels/frames.ts'
import { answeredBytes, gather, type Run } from './gather.ts'
import type { Hub } from '../hub/hub.ts'
import { formatPosition, parsePosition, type Position } from '../channels/position.ts'
import type { SharedTexts } from './sharedTexts.ts'
import type { SessionReader } from '../channels/undelivered.ts'
import { uptimeMs } from '../time/uptime.ts'

/** What a poll needs of the server. */
export interface PollHost {
  readonly hub: Hub
  /** Bytes of messages in one answer; the rest comes with the next. */
  readonly maxAnswerBytes: number
  readonly texts: SharedTexts
  /** Until when Redis has to confirm. */
  deadline(): Deadline
}

/** From where a channel is read. */
interface Cursor {
  readonly channel: LoggedChannel
  readonly from: Position
  /** Why what the client lacks before `from` can't be had, if it lacks something. */
  readonly gap: GapReason | null
}

/** One poll that waits: cursors in the logs of its channels, and whether there is anything behind them. */
export class Poll implements LogReader {
  readonly id: string
  readonly seq: string
  /** It was ended by a poll with the same `seq`: the same question, asked again. */
  isRepeated = false
  /** Up to where the answer goes, for the channels that it has messages of. */
  readonly delivered = Object.create(null) as Record<string, string>
  /** Of the session, which a newer connection of the client ends. */
  generation = 0
  /** The channels of the session that the broker refuses. */
  readonly refusals = new Set<string>()
  readonly #host: PollHost
  readonly #reader: () => SessionReader
  readonly #cursors = new Map<string, Cursor>()
  /** For each channel that it has or is looking up, the lookup that counts: the channel may be taken and given meanwhile. */
  readonly #lookups = new Map<string, object>()
  /** The channels that the session has lost since the poll began. */
  readonly #lost = new Set<string>()
  #isStopped = false
  #isEnded = false
  #onNews: (() => void) | null = null
  #onEnd: (() => void) | null = null

  /** `reader` keeps for the session what it lacks; it is asked for when the session is known to live. */
  constructor(host: PollHost, id: string, seq: string, reader: () => SessionReader) {
    this.#host = host
    this.id = id
    this.seq = seq
    this.#reader = reader
  }

  /** Reads the channel from `since` on; `null` is a position that could not be read. */
  async watch(name: string, since: Position | null): Promise<void> {
    if (this.#lost.has(name)) return
    const lookup = {}
    this.#lookups.set(name, lookup)
    const isCurrent = (): boolean => this.#lookups.get(name) === lookup
    const { hub } = this.#host
    // Otherwise another node kept the channel for the session. What is missing here may still have been there.
    let wasKeptHere = false
    const keep = (channel: Channel, from: Position): void => {
      const reader = this.#reader()
      wasKeptHere = reader.placeIn(channel) !== null
      if (isCurrent()) reader.keep(channel, from)
    }
    const watching = hub.watch(this, name, since, this.#host.deadline(), keep)
    const found = await watching.catch((error: unknown) => {
      if (!(error instanceof ChannelRefused)) throw error
      return null
    })
    if (found === null) return this.#refuse(name)
    const { channel, from, gap } = found
    if (this.#isStopped || !isCurrent()) {
      // The session has lost the channel meanwhile, and perhaps got it again.
      if (this.#isStopped || !this.#cursors.has(name)) hub.unwatch(this, channel)
      return
    }
    const reason = gap === 'overflow' && !wasKeptHere ? 'node' : gap
    this.#cursors.set(name, { channel, from, gap: since === null ? 'expired' : reason })
    this.wake(channel)
  }

  /** The session has got a channel. */
  gained(name: string, position: string): void {
    // What the poll has, or is about to have, is not older: the client may have told where it is.
    if (this.#lookups.has(name)) return
    this.#lost.delete(name)
    // If it can't be had now, the next poll has it from the session.
    this.watch(name, parsePosition(position)).catch(() => {})
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
    if (this.#onNews !== null && dueAt(cursor) !== Infinity) this.#onNews()
    // Gathering on would lose what there is.
    else if (this.#onEnd !== null && cursor.channel.log.isUrgent(cursor.from)) this.#onEnd()
  }

  refused({ name }: Channel): void {
    this.#refuse(name)
  }

  /** No more waiting. */
  end(): void {
    this.#isEnded = true
    this.#onEnd?.()
  }

  /**
   * Waits until there is something to answer with, at most `longestMs`. A message waits for others for `gatherMs`, counted
   * from when it came, whether a poll was there then or not.
   */
  async news(longestMs: number, gatherMs: number): Promise<void> {
    const dueMs = this.#dueMs(gatherMs)
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
        timer = setTimeout(resolve, this.#dueMs(gatherMs))
      }
    })
    this.#onNews = null
    this.#onEnd = null
  }

  /** Resolves when the poll has been ended, after `longestMs` at the latest. It reads no more. */
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

  /** Whether messages are missing for another reason than that this node had no room to keep them for the session. */
  get hasGap(): boolean {
    return [...this.#cursors.values()].some((cursor) => (gapOf(cursor) ?? 'overflow') !== 'overflow')
  }

  /** What is behind its cursors, as the text of an answer: all of it, or as much as an answer may hold. */
  answer(withPositions: boolean): Answer {
    const { maxAnswerBytes } = this.#host
    const gaps: string[] = []
    const runs: Run[] = []
    for (const [name, cursor] of this.#cursors) {
      const { channel } = cursor
      const { log } = channel
      // While a hole is being filled, the order would be wrong: the next poll has it.
      if (channel.state !== 'live') continue
      const gap = gapOf(cursor)
      const from = log.covers(cursor.from) ? cursor.from : log.start
      if (gap !== null) {
        const position = formatPosition(from)
        // A client that can't be told goes on from there all the same.
        if (withPositions) gaps.push(JSON.stringify({ __type: 'gap', channel: name, position, reason: gap }))
        else this.delivered[name] = position
      }
      const entries = log.after(from, maxAnswerBytes)
      if (entries.length > 0) runs.push({ channel, entries })
    }
    const messages =
      runs.length === 1 ? this.#one(runs[0]!, withPositions) : this.#merged(runs, withPositions)
    return { status: 200, body: `[${[...gaps, ...messages].join(',')}]` }
  }

  /** The usual case, and the one in which many polls have the same answer. */
  #one({ channel, entries }: Run, withPositions: boolean): string[] {
    let bytes = 0
    const over = entries.findIndex(
      (entry) => (bytes += answeredBytes(channel, entry)) > this.#host.maxAnswerBytes,
    )
    const given = over === -1 ? entries : entries.slice(0, Math.max(1, over))
    this.delivered[channel.name] = formatPosition(given.at(-1)!)
    return [this.#host.texts.of(channel, given, withPositions)]
  }

  /** The messages of several channels, in the order in which they came. */
  #merged(runs: readonly Run[], withPositions: boolean): string[] {
    const given = gather(runs, this.#host.maxAnswerBytes)
    const last = new Map(given.map(({ channel, entry }) => [channel, entry]))
    for (const [channel, entry] of last) this.delivered[channel.name] = formatPosition(entry)
    return given.map(({ channel, entry }) => entryText(entry, channel.nameJson, withPositions))
  }

  /** Reads no more. */
  stop(): void {
    this.#isStopped = true
    for (const { channel } of this.#cursors.values()) this.#host.hub.unwatch(this, channel)
  }

  #refuse(name: string): void {
    this.refusals.add(name)
    this.#cursors.delete(name)
    this.end()
  }

  /** In how many ms what there is has to be answered; `Infinity` while there is nothing. */
  #dueMs(gatherMs: number): number {
    let earliest = Infinity
    for (const cursor of this.#cursors.values()) earliest = Math.min(earliest, dueAt(cursor))
    if (earliest === Infinity) return Infinity
    // The age of a message from another node is what that node says: none waits longer than a new one.
    return Math.min(Math.max(0, earliest + gatherMs - uptimeMs()), gatherMs)
  }
}

/** Since when what is behind the cursor waits to be answered; `-Infinity` for what can't wait, `Infinity` for nothing. */
function dueAt(cursor: Cursor): number {
  const { channel, from } = cursor
  if (channel.state !== 'live') return Infinity
  const { log } = channel
  // Nothing is gained by waiting with a gap, and something lost by waiting with what may be dropped.
  if (gapOf(cursor) !== null || log.isUrgent(from)) return -Infinity
  return log.firstAfter(from)?.at ?? Infinity
}

function gapOf({ channel, from, gap }: Cursor): GapReason | null {
  if (gap !== null) return gap
  const { log } = channel
  return channel.state === 'live' && !log.covers(from) ? log.startReason : null
}
