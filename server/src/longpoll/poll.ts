import type { GapReason } from '@broadcaster/protocol'
import type { Answer } from './answers.ts'
import type { Channel, LoggedChannel, Waiter } from '../channels/channel.ts'
import type { Deadline } from '../time/deadline.ts'
import { ChannelRefused } from '../errors.ts'
import { entryText } from '../channels/frames.ts'
import type { Hub } from '../hub/hub.ts'
import type { Entry } from '../channels/log.ts'
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

interface Place {
  readonly channel: LoggedChannel
  readonly from: Position
  readonly gap: GapReason | null
}

/** What an answer has of one channel. */
interface Run {
  readonly channel: Channel
  readonly entries: readonly Entry[]
}

/** One poll that waits: places in the logs of its channels, and whether there is anything behind them. */
export class Poll implements Waiter {
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
  readonly #places = new Map<string, Place>()
  /** The channels it has or is looking up, each with the number of the lookup that counts; 0: taken away. */
  readonly #lookups = new Map<string, number>()
  #lastLookup = 0
  #isStopped = false
  #isEnded = false
  #onNews: (() => void) | null = null
  #onEnd: (() => void) | null = null

  /** `reader` is what keeps for the session what it lacks; asked for when the session is known to live. */
  constructor(host: PollHost, id: string, seq: string, reader: () => SessionReader) {
    this.#host = host
    this.id = id
    this.seq = seq
    this.#reader = reader
  }

  /** Reads the channel from `since` on; `null` is a position that could not be read. */
  async watch(name: string, since: Position | null): Promise<void> {
    if (this.#lookups.get(name) === 0) return
    const lookup = ++this.#lastLookup
    this.#lookups.set(name, lookup)
    const { hub } = this.#host
    const keep = (channel: Channel, from: Position): void => {
      if (this.#lookups.get(name) === lookup) this.#reader().keep(channel, from)
    }
    const watching = hub.watch(this, name, since, this.#host.deadline(), keep)
    const place = await watching.catch((error: unknown) => {
      if (!(error instanceof ChannelRefused)) throw error
      return null
    })
    if (place === null) return this.#refuse(name)
    const { channel, from, gap } = place
    if (this.#isStopped || this.#lookups.get(name) !== lookup) {
      // Taken away meanwhile, and perhaps given again.
      if (this.#isStopped || !this.#places.has(name)) hub.unwatch(this, channel)
      return
    }
    this.#places.set(name, { channel, from, gap: since === null ? 'expired' : gap })
    this.wake()
  }

  /** The session has got a channel, or (`null`) lost it. */
  change(name: string, position: string | null): void {
    if (position === null) {
      this.#lookups.set(name, 0)
      const place = this.#places.get(name)
      if (place !== undefined) this.#host.hub.unwatch(this, place.channel)
      this.#places.delete(name)
      this.#reader().forget(name)
      return
    }
    // What it has, or is about to have, is not older: the client may have told where it is.
    if ((this.#lookups.get(name) ?? 0) > 0) return
    this.#lookups.delete(name)
    // If it can't be had now, the next poll has it from the session.
    this.watch(name, parsePosition(position)).catch(() => {})
  }

  wake(): void {
    if (this.#onNews !== null && this.#hasNews()) this.#onNews()
    // Gathering on would lose what there is.
    else if (this.#onEnd !== null && this.#isUrgent()) this.#onEnd()
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

  /** Whether something is missing that nobody can bring, other than what there was no room for. */
  get hasGap(): boolean {
    return [...this.#places.values()].some((place) => (gapOf(place) ?? 'overflow') !== 'overflow')
  }

  /** What comes after its places, as the text of an answer: all of it, or as much as goes into one. */
  answer(withPositions: boolean): Answer {
    const gaps: string[] = []
    const runs: Run[] = []
    for (const [name, place] of this.#places) {
      const { channel } = place
      const { log } = channel
      // With a hole that is being filled, the order would be wrong: the next poll has it.
      if (channel.state !== 'live') continue
      const gap = gapOf(place)
      const from = log.covers(place.from) ? place.from : log.start
      if (gap !== null) {
        const position = formatPosition(from)
        // Who can't be told goes on from there all the same.
        if (withPositions) gaps.push(JSON.stringify({ __type: 'gap', channel: name, position, reason: gap }))
        else this.delivered[name] = position
      }
      const entries = log.after(from)
      if (entries.length > 0) runs.push({ channel, entries })
    }
    const messages =
      runs.length === 1 ? this.#one(runs[0]!, withPositions) : this.#merged(runs, withPositions)
    return { status: 200, body: `[${[...gaps, ...messages].join(',')}]` }
  }

  /** The usual case, and the one in which many polls have the same answer. */
  #one({ channel, entries }: Run, withPositions: boolean): string[] {
    const given = entries.slice(0, fitting(entries, this.#host.maxAnswerBytes))
    this.delivered[channel.name] = formatPosition(given.at(-1)!)
    return [this.#host.texts.of(channel, given, withPositions)]
  }

  /** The messages of several channels, in the order in which they came. */
  #merged(runs: readonly Run[], withPositions: boolean): string[] {
    const messages = inOrder(runs)
    const count = fitting(
      messages.map(({ entry }) => entry),
      this.#host.maxAnswerBytes,
    )
    const given = messages.slice(0, count)
    const last = new Map(given.map(({ channel, entry }) => [channel, entry]))
    for (const [channel, entry] of last) this.delivered[channel.name] = formatPosition(entry)
    return given.map(({ channel, entry }) => entryText(entry, channel.nameJson, withPositions))
  }

  stop(): void {
    this.#isStopped = true
    for (const { channel } of this.#places.values()) this.#host.hub.unwatch(this, channel)
  }

  #refuse(name: string): void {
    this.refusals.add(name)
    this.#places.delete(name)
    this.end()
  }

  #isUrgent(): boolean {
    return [...this.#places.values()].some(({ channel, from }) => channel.log.isUrgent(from))
  }

  #hasNews(): boolean {
    return this.#dueMs(0) !== Infinity
  }

  /** In how many ms what there is has to be answered; `Infinity` while there is nothing. */
  #dueMs(gatherMs: number): number {
    let dueAt = Infinity
    for (const place of this.#places.values()) {
      const { channel, from } = place
      if (channel.state !== 'live') continue
      const { log } = channel
      // Nothing is gained by waiting with a gap, and something lost by waiting with what may be pushed out.
      if (gapOf(place) !== null || log.isUrgent(from)) return 0
      const first = log.firstAfter(from)
      if (first !== null) dueAt = Math.min(dueAt, first.at + gatherMs)
    }
    if (dueAt === Infinity) return Infinity
    // The age of what came from another node is what that node says: never wait longer than for a new message.
    return Math.min(Math.max(0, dueAt - uptimeMs()), gatherMs)
  }
}

function gapOf({ channel, from, gap }: Place): GapReason | null {
  if (gap !== null) return gap
  const { log } = channel
  return channel.state === 'live' && !log.covers(from) ? log.startReason : null
}

/** How many of the first ones go into an answer; one at least. */
function fitting(entries: readonly Entry[], maxBytes: number): number {
  let bytes = 0
  const over = entries.findIndex((entry) => (bytes += entry.bytes) > maxBytes)
  return over === -1 ? entries.length : Math.max(1, over)
}

/** The messages of all channels, in the order in which they came. */
function inOrder(runs: readonly Run[]): { order: number; channel: Channel; entry: Entry }[] {
  const messages = runs.flatMap(({ channel, entries }) => {
    let order = 0
    // What came from another node has no order of arrival: it stays behind what is before it in its channel.
    return entries.map((entry) => ({ order: (order = Math.max(order, entry.order)), channel, entry }))
  })
  // Stable, so that each channel stays in its own order.
  return messages.sort((a, b) => a.order - b.order)
}
