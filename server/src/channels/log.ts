import type { GapReason } from '@broadcaster/protocol'
import { comparePositions, isSameRun, positionOf, type Position } from './position.ts'

/** One message in a log. */
export interface Entry extends Position {
  /** The body as JSON text, because frames, long-poll answers and replays all need JSON. */
  readonly json: string
  /** The size that counts against the limits, see {@link entryBytes}. */
  readonly bytes: number
  /** When this node received it, in ms since the process started. */
  readonly receivedAt: number
  /** The order of arrival over all channels of this node; 0 for an entry from another node. */
  readonly arrival: number
}

export interface LogLimits {
  /** The maximum number of entries. */
  readonly maxMessages: number
  /** The maximum number of bytes, see {@link entryBytes}. */
  readonly maxBytes: number
  /** The maximum number of bytes while a reader still needs entries, see {@link ChannelLog.retainFrom}. */
  readonly maxUndeliveredBytes: number
  /** Called for each entry that is dropped because of this limit. */
  readonly onUndelivered: () => void
}

/** Returns the lowest position of all readers that still need the messages after it; `null` if there is none. */
export type LowestNeeded = (run: number) => Position | null

/** The entry object, its slot in the log, and the header of the string. */
const OVERHEAD_BYTES = 110

/**
 * The memory that an entry with this text uses. V8 stores a string with one byte per character, or with two bytes per
 * character if one of them needs it. A text with more bytes in UTF-8 than characters is not ASCII, so it may need two.
 */
export function entryBytes(json: string): number {
  const isAscii = Buffer.byteLength(json) === json.length
  return OVERHEAD_BYTES + (isAscii ? json.length : 2 * json.length)
}

/** The memory that the entries use. */
export function bytesOf(entries: readonly Entry[]): number {
  return entries.reduce((sum, { bytes }) => sum + bytes, 0)
}

/** The newest of the entries that use no more than `maxBytes` together. */
export function newestWithin(entries: readonly Entry[], maxBytes: number): readonly Entry[] {
  let first = entries.length
  let bytes = 0
  while (first > 0) {
    bytes += entries[first - 1]!.bytes
    if (bytes > maxBytes) break
    first -= 1
  }
  return entries.slice(first)
}

/** Replaces a dropped entry, so that the log does not keep its text in memory. */
const DROPPED: Entry = { beacon: 0, count: 0, json: '', bytes: 0, receivedAt: 0, arrival: 0 }

/**
 * The last messages of one channel, without a hole: it contains every message after `start` up to `head`, all of one
 * run of the broker. `append` applies the limits of messages and bytes. The hub's sweep applies the limit of age.
 *
 * The log returns copies of positions: an entry is a position too, but a reference to it would keep its text in memory.
 */
export class ChannelLog {
  readonly #limits: LogLimits
  #entries: Entry[] = []
  /** The slots before this index are {@link DROPPED}. The array is cut when there are many of them. */
  #first = 0
  #bytes = 0
  #start: Position
  #startReason: GapReason
  /** `null` while the newest entry is the head. */
  #head: Position | null
  readonly #lowestNeeded: LowestNeeded
  /** The lowest position that a reader needs, or an earlier one: readers move on without telling the log. */
  #floor: Position | null
  /** The size at which the lowest needed position is determined again. */
  #askAtSize = 0

  constructor(limits: LogLimits, start: Position, reason: GapReason, lowestNeeded: LowestNeeded) {
    this.#limits = limits
    this.#start = start
    this.#startReason = reason
    this.#head = start
    this.#lowestNeeded = lowestNeeded
    this.#floor = lowestNeeded(start.beacon)
  }

  /** The log contains every message after this position. */
  get start(): Position {
    return this.#start
  }

  /**
   * A position from which the log will still have every message in a moment: if it drops messages at its start, it goes on
   * doing so.
   */
  get lastingStart(): Position {
    if (!this.isTrimmed || this.size === 0) return this.#start
    return positionOf(this.#entries[this.#first + (this.size >> 2)]!)
  }

  /** Why messages before `start` are missing. A client that needs them receives this reason. */
  get startReason(): GapReason {
    return this.#startReason
  }

  /** Whether the log contained messages before `start` and dropped them. Then other nodes have dropped them too. */
  get isTrimmed(): boolean {
    return this.#startReason === 'expired' || this.#startReason === 'overflow'
  }

  /** The last known position: of the newest entry, or the position at which the log began. */
  get head(): Position {
    return this.#head ?? positionOf(this.#entries.at(-1)!)
  }

  get newest(): Entry | null {
    return this.size === 0 ? null : this.#entries.at(-1)!
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

  /** Drops entries that were retained beyond the limits and are no longer needed. Must be called periodically. */
  trim(): void {
    this.#askAtSize = 0
    this.#keepBounds()
  }

  /** Retains everything after `position` beyond the usual limits, until the reader that needs it has moved on. */
  retainFrom(position: Position): void {
    if (!isSameRun(position.beacon, this.#start.beacon)) return
    if (this.#floor === null || comparePositions(position, this.#floor) < 0) this.#floor = position
  }

  /** The message at this position is not kept. The log becomes empty, and begins after it. */
  skip(position: Position): void {
    this.#entries = []
    this.#first = 0
    this.#bytes = 0
    this.#start = position
    this.#startReason = 'overflow'
    this.#head = position
  }

  /** Moves the head forward. No message is between the newest entry and `head`. */
  reach(head: Position): void {
    this.#head = head
  }

  /** Inserts older entries at the beginning. The log then begins at `start`. */
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

  /** Drops the entries that are older than `time` (in ms since the process started), whether they are needed or not. */
  dropBefore(time: number, reason: 'expired' | 'overflow'): void {
    while (this.size > 0 && this.#entries[this.#first]!.receivedAt < time) this.#dropFirst(reason)
  }

  /** Whether every message after `position` is in the log. The age of the position does not matter. */
  covers(position: Position): boolean {
    return isSameRun(position.beacon, this.#start.beacon) && comparePositions(position, this.#start) >= 0
  }

  /**
   * The position of the newest entry that is not after `position`, or the start of the log. No message is between the
   * two.
   */
  lastUpTo(position: Position): Position {
    const index = this.#indexAfter(position) - 1
    return index < this.#first ? this.#start : positionOf(this.#entries[index]!)
  }

  /** When the newest entry that is not after `position` arrived; `-Infinity` if the log does not have it. */
  arrivalUpTo(position: Position): number {
    const index = this.#indexAfter(position) - 1
    return index < this.#first ? -Infinity : this.#entries[index]!.receivedAt
  }

  /**
   * The positions of the newest entries that are not after `position`, oldest first, at most `max`. If the log has fewer, its
   * start is the first of them. Every message after the first one, up to `position`, is at one of the others.
   */
  positionsUpTo(position: Position, max: number): Position[] {
    const end = this.#indexAfter(position)
    const first = Math.max(this.#first, end - max)
    const positions = this.#entries.slice(first, end).map(positionOf)
    return positions.length < max ? [this.#start, ...positions] : positions
  }

  /** The newest entries that are not after `position`, oldest first, at most `max`. */
  newestUpTo(position: Position, max: number): Entry[] {
    const end = this.#indexAfter(position)
    return this.#entries.slice(Math.max(this.#first, end - max), end)
  }

  /** The number of entries that are not after `position`. */
  sizeUpTo(position: Position): number {
    return this.#indexAfter(position) - this.#first
  }

  /** The oldest entry after `position`. */
  firstAfter(position: Position): Entry | null {
    return this.#entries[this.#indexAfter(position)] ?? null
  }

  /** The number of entries after `position`. */
  sizeAfter(position: Position): number {
    return this.#entries.length - this.#indexAfter(position)
  }

  /** Whether further messages may soon drop entries after `position`. A reader at this position should read now. */
  isUrgent(position: Position): boolean {
    const { maxMessages, maxBytes } = this.#limits
    const isHalfFull = this.size * 2 > maxMessages || this.#bytes * 2 > maxBytes
    return isHalfFull && (this.#indexAfter(position) - this.#first) * 2 < this.size
  }

  /**
   * The entries after `position`, oldest first: all of them, or as many as fit into `maxBytes`, but at least one. The
   * caller must check {@link covers} first.
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

  /** The number of bytes of the entries after `position`. */
  bytesAfter(position: Position): number {
    let bytes = 0
    for (let i = this.#entries.length - 1; i >= this.#first; i--) {
      const entry = this.#entries[i]!
      if (comparePositions(entry, position) <= 0) break
      bytes += entry.bytes
    }
    return bytes
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

  /** The newest entry is never dropped, so that a reader that is slightly late can still get it. */
  #keepBounds(): void {
    while (this.size > 1 && this.#isOver && !this.#isRetained()) this.#dropFirst('overflow')
  }

  get #isOver(): boolean {
    return this.size > this.#limits.maxMessages || this.#bytes > this.#limits.maxBytes
  }

  /** Whether the oldest entry is retained although the log is over its limits. */
  #isRetained(): boolean {
    if (!this.#isNeeded()) return false
    if (this.#bytes <= this.#limits.maxUndeliveredBytes) return true
    this.#limits.onUndelivered()
    return false
  }

  /** Whether a reader still needs the oldest entry. */
  #isNeeded(): boolean {
    if (this.#floor === null || !this.#isAfter(this.#floor)) return false
    // There may be many readers, so their positions are not checked at every message.
    if (this.size < this.#askAtSize) return true
    this.#floor = this.#lowestNeeded(this.#start.beacon)
    const isNeeded = this.#floor !== null && this.#isAfter(this.#floor)
    this.#askAtSize = isNeeded ? this.size + Math.max(64, this.size >> 3) : 0
    return isNeeded
  }

  #isAfter(position: Position): boolean {
    return comparePositions(this.#entries[this.#first]!, position) > 0
  }

  #dropFirst(reason: GapReason): void {
    const entry = this.#entries[this.#first]!
    this.#start = positionOf(entry)
    this.#startReason = reason
    this.#bytes -= entry.bytes
    this.#entries[this.#first] = DROPPED
    this.#first += 1
    if (this.size === 0) this.#head ??= this.#start
    // The array is cut only from time to time, so that the amortized cost of a drop is constant.
    if (this.#first > 64 && this.#first * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#first)
      this.#first = 0
    }
  }
}
