import type { GapReason } from '@broadcaster/protocol'
import type { Answer } from './answers.ts'
import type { Channel, Waiter } from './channel.ts'
import type { Deadline } from './deadline.ts'
import { entryText } from './frames.ts'
import type { Hub } from './hub.ts'
import type { Entry } from './log.ts'
import { formatPosition, parsePosition, type Position } from './position.ts'
import { uptimeMs } from './uptime.ts'

interface Place {
  readonly channel: Channel
  readonly from: Position
  readonly gap: GapReason | null
}

/** One poll that waits: places in the logs of its channels, and whether there is anything behind them. */
export class Poll implements Waiter {
  readonly id: string
  readonly seq: string
  /** It was ended by a poll with the same `seq`: the same question, asked again. */
  isRepeated = false
  /** Up to where the answer goes, for the channels that it has messages of. */
  readonly delivered: Record<string, string> = {}
  /** Of the session, which a newer connection of the client ends. */
  generation = 0
  readonly #hub: Hub
  readonly #deadline: () => Deadline
  readonly #places = new Map<string, Place>()
  /** The channels it has or is looking up, each with the number of the lookup that counts; 0: taken away. */
  readonly #lookups = new Map<string, number>()
  #lastLookup = 0
  #isStopped = false
  #isEnded = false
  #onNews: (() => void) | null = null
  #onEnd: (() => void) | null = null

  constructor(hub: Hub, id: string, seq: string, deadline: () => Deadline) {
    this.#hub = hub
    this.id = id
    this.seq = seq
    this.#deadline = deadline
  }

  /** Reads the channel from `since` on; `null` is a position that could not be read. */
  async watch(name: string, since: Position | null): Promise<void> {
    if (this.#lookups.get(name) === 0) return
    const lookup = ++this.#lastLookup
    this.#lookups.set(name, lookup)
    const { channel, from, gap } = await this.#hub.watch(this, name, since, this.#deadline())
    if (this.#isStopped || this.#lookups.get(name) !== lookup) {
      // Taken away meanwhile, and perhaps given again.
      if (this.#isStopped || !this.#places.has(name)) this.#hub.unwatch(this, channel)
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
      if (place !== undefined) this.#hub.unwatch(this, place.channel)
      this.#places.delete(name)
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

  get hasGap(): boolean {
    return [...this.#places.values()].some((place) => gapOf(place) !== null)
  }

  /** Everything after its places, as the text of an answer. */
  answer(withPositions: boolean): Answer {
    const gaps: string[] = []
    const runs: { channel: Channel; entries: Entry[] }[] = []
    for (const [name, place] of this.#places) {
      const { channel } = place
      const log = channel.log!
      // With a hole that is being filled, the order would be wrong: the next poll has it.
      if (channel.state !== 'live') continue
      const gap = gapOf(place)
      const from = log.covers(place.from) ? place.from : log.start
      if (gap !== null) {
        const position = formatPosition(from)
        gaps.push(JSON.stringify({ __type: 'gap', channel: name, position, reason: gap }))
      }
      const entries = log.after(from)
      if (entries.length === 0) continue
      this.delivered[name] = formatPosition(entries.at(-1)!)
      runs.push({ channel, entries })
    }
    const [run] = runs
    // The usual case, and the one in which many polls have the same answer.
    const messages =
      run !== undefined && runs.length === 1
        ? [run.channel.runText(run.entries, withPositions)]
        : merge(runs, withPositions)
    return { status: 200, body: `[${[...gaps, ...messages].join(',')}]` }
  }

  stop(): void {
    this.#isStopped = true
    for (const { channel } of this.#places.values()) this.#hub.unwatch(this, channel)
  }

  #isUrgent(): boolean {
    return [...this.#places.values()].some(({ channel, from }) => channel.log!.isUrgent(from))
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
      const log = channel.log!
      // Nothing is gained by waiting with a gap, and something lost by waiting with what may be pushed out.
      if (gapOf(place) !== null || log.isUrgent(from)) return 0
      const first = log.firstAfter(from)
      if (first !== null) dueAt = Math.min(dueAt, first.at + gatherMs)
    }
    return dueAt === Infinity ? Infinity : Math.max(0, dueAt - uptimeMs())
  }
}

function gapOf({ channel, from, gap }: Place): GapReason | null {
  if (gap !== null) return gap
  const log = channel.log!
  return channel.state === 'live' && !log.covers(from) ? log.startReason : null
}

/** The messages of several channels, in the order in which they came. */
function merge(runs: readonly { channel: Channel; entries: Entry[] }[], withPositions: boolean): string[] {
  const messages: { order: number; text: string }[] = []
  for (const { channel, entries } of runs) {
    let order = 0
    for (const entry of entries) {
      // What came from another node has no order of arrival: it stays behind what is before it in its channel.
      order = Math.max(order, entry.order)
      messages.push({ order, text: entryText(entry, channel.nameJson, withPositions) })
    }
  }
  // Stable, so that each channel stays in its own order.
  messages.sort((a, b) => a.order - b.order)
  return messages.map(({ text }) => text)
}
