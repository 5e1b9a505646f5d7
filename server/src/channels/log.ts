import type { GapReason } from '@broadcaster/protocol'
import { comparePositions, isSameRun, positionOf, type Position } from './position.ts'

/** One message as a log keeps it. */
export interface Entry extends Position {
  /** The body as JSON text: every use of it, frame, long-poll answer or replay, is JSON. */
  readonly json: string
  /** What it counts against the limits, see {@link entryBytes}. */
  readonly bytes: number
  /** When this node got it, in ms since the process started. */
  readonly at: number
  /** Counts up over all channels of this node: the order of arrival. 0 for what came from another node. */
  readonly order: number
}

export interface LogLimits {
  /** Entries at most. */
  readonly maxMessages: number
  /** Bytes at most, see {@link entryBytes}. */
  readonly maxBytes: number
  /** Bytes at most while somebody lacks them still, see {@link ChannelLog.keepFrom}. */
  readonly maxUndeliveredBytes: number
}

/** The earliest place from which somebody still has to be given everything; `null` for nobody. */
export type LowestNeeded = (run: number) => Position | null

/** The object around the text, its slot in the log, and the header of the text. */
const OVERHEAD_BYTES = 110

/**
 * The memory that an entry with this text takes. V8 stores a text with one byte a character, or with two if a single
 * character needs them. Text that is longer in UTF-8 than in characters is not ASCII, so it may be of the second kind.
 */
export function entryBytes(json: string): number {
  const isAscii = Buffer.byteLength(json) === json.length
  return OVERHEAD_BYTES + (isAscii ? json.length : 2 * json.length)
}

/** Takes the place of a dropped entry, so that the log does not keep the text of that one. */
const DROPPED: Entry = { beacon: 0, count: 0, json: '', bytes: 0, at: 0, order: 0 }

/**
 * The last messages of one channel, without a hole: everything after `start` up to `head` is in here, all of one run of the
 * broker. Appending keeps the bounds of messages and bytes, the hub's sweep keeps the bound of age.
 *
 * A log hands out copies of its positions: an entry is a position too, but whoever keeps it keeps its text.
 */
export class ChannelLog {
  readonly #limits: LogLimits
  #entries: Entry[] = []
  /** The slots before this index are {@link DROPPED}. The array is cut when they are many. */
  #first = 0
  #bytes = 0
  #start: Position
  #startReason: GapReason
  /** `null` while the newest entry is the head. */
  #head: Position | null
  readonly #lowestNeeded: LowestNeeded
  /** The lowest needed position, or an earlier one: readers move on without notice. */
  #floor: Position | null
  /** The size from which the lowest needed position is asked for again. */
  #askAtSize = 0

  constructor(limits: LogLimits, start: Position, reason: GapReason, lowestNeeded: LowestNeeded) {
    this.#limits = limits
    this.#start = start
    this.#startReason = reason
    this.#head = start
    this.#lowestNeeded = lowestNeeded
    this.#floor = lowestNeeded(start.beacon)
  }

  /** Everything after this position is in the log. */
  get start(): Position {
    return this.#start
  }

  /** Why what lies before `start` is not here: what a client is told that asks for it. */
  get startReason(): GapReason {
    return this.#startReason
  }

  /** Whether what lies before `start` was here once: then no other node will have it either. */
  get isTrimmed(): boolean {
    return this.#startReason === 'expired' || this.#startReason === 'overflow'
  }

  /** Up to where the channel is known: the newest entry, or the position at which the log was begun. */
  get head(): Position {
    return this.#head ?? positionOf(this.#entries.at(-1)!)
  }

  get size(): number {
    return this.#entries.length - this.#first
  }

  get bytes(): number {
    return this.#bytes
  }

  append(entry: Entry): void {
    this.#entries.push(entry)
    this.#head = null
    this.#bytes += entry.bytes
    this.#keepBounds()
  }

  /** To be called now and then: what was kept beyond the bounds may no longer be needed. */
  trim(): void {
    this.#askAtSize = 0
    this.#keepBounds()
  }

  /** Keeps everything after `position` beyond the usual bounds, until the reader that needs it has moved on. */
  keepFrom(position: Position): void {
    if (!isSameRun(position.beacon, this.#start.beacon)) return
    if (this.#floor === null || comparePositions(position, this.#floor) < 0) this.#floor = position
  }

  /** The message at this position is not kept: the log begins anew behind it. */
  skip(position: Position): void {
    this.#entries = []
    this.#first = 0
    this.#bytes = 0
    this.#start = position
    this.#startReason = 'overflow'
    this.#head = position
  }

  /** Nothing came between the newest entry and `head`. */
  reach(head: Position): void {
    this.#head = head
  }

  /** Puts older entries in front, so that the log now reaches back to `start`. */
  prepend(entries: readonly Entry[], start: Position, reason: GapReason): void {
    if (entries.length > 0) {
      this.#entries = entries.concat(this.#entries.slice(this.#first))
      this.#first = 0
      for (const entry of entries) this.#bytes += entry.bytes
      if (this.size === entries.length) this.#head = null
    }
    this.#start = start
    this.#startReason = reason
  }

  /** Throws away what is older than `time`, in ms since the process started, whether it is needed or not. */
  dropBefore(time: number, reason: 'expired' | 'overflow'): void {
    while (this.size > 0 && this.#entries[this.#first]!.at < time) this.#dropFirst(reason)
  }

  /** Whether nothing after `position` was thrown away or never seen. How old it is does not matter. */
  covers(position: Position): boolean {
    return isSameRun(position.beacon, this.#start.beacon) && comparePositions(position, this.#start) >= 0
  }

  /** The position of the newest entry that is not after `position`, or the start: nothing is between. */
  lastUpTo(position: Position): Position {
    const index = this.#indexAfter(position) - 1
    return index < this.#first ? this.#start : positionOf(this.#entries[index]!)
  }

  /** The oldest entry after `position`. */
  firstAfter(position: Position): Entry | null {
    return this.#entries[this.#indexAfter(position)] ?? null
  }

  /** Whether what comes next may push out entries after `position`: whoever reads from there should do it now. */
  isUrgent(position: Position): boolean {
    const { maxMessages, maxBytes } = this.#limits
    const isHalfFull = this.size * 2 > maxMessages || this.#bytes * 2 > maxBytes
    return isHalfFull && (this.#indexAfter(position) - this.#first) * 2 < this.size
  }

  /**
   * The entries after `position`, oldest first: all of them, or as many as `maxBytes` allow, one at least. Ask
   * {@link covers} before.
   */
  after(position: Position, maxBytes = Infinity): Entry[] {
    const from = this.#indexAfter(position)
    if (this.#bytes <= maxBytes) return this.#entries.slice(from)
    let end = from
    for (let bytes = 0; end < this.#entries.length; end++) {
      bytes += this.#entries[end]!.bytes
      if (bytes > maxBytes && end > from) break
    }
    return this.#entries.slice(from, end)
  }

  #indexAfter(position: Position): number {
    let low = this.#first
    let high = this.#entries.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (comparePositions(this.#entries[middle]!, position) > 0) high = middle
      else low = middle + 1
    }
    return low
  }

  /** The newest entry always stays: whoever is a moment late can still be given it. */
  #keepBounds(): void {
    while (this.size > 1 && this.#isOver && !this.#isKept()) this.#dropFirst('overflow')
  }

  get #isOver(): boolean {
    return this.size > this.#limits.maxMessages || this.#bytes > this.#limits.maxBytes
  }

  /** Whether the oldest entry stays although the log is over its bounds. */
  #isKept(): boolean {
    return this.#bytes <= this.#limits.maxUndeliveredBytes && this.#isNeeded()
  }

  /** Whether a reader still has to be given the oldest entry. */
  #isNeeded(): boolean {
    if (this.#floor === null || !this.#isAfter(this.#floor)) return false
    // There may be many readers: they are asked now and then, not at every message.
    if (this.size < this.#askAtSize) return true
    this.#floor = this.#lowestNeeded(this.#start.beacon)
    const isNeeded = this.#floor !== null && this.#isAfter(this.#floor)
    this.#askAtSize = isNeeded ? this.size + Math.max(64, this.size >> 3) : 0
    return isNeeded
  }

  #isAfter(place: Position): boolean {
    return comparePositions(this.#entries[this.#first]!, place) > 0
  }

  #dropFirst(reason: GapReason): void {
    const entry = this.#entries[this.#first]!
    this.#start = positionOf(entry)
    this.#startReason = reason
    this.#bytes -= entry.bytes
    this.#entries[this.#first] = DROPPED
    this.#first += 1
    if (this.size === 0) this.#head ??= this.#start
    // Cutting now and then keeps the cost of dropping constant.
    if (this.#first > 64 && this.#first * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#first)
      this.#first = 0
    }
  }
}
