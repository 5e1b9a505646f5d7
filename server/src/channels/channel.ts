import type { GapReason } from '@broadcaster/protocol'
import { compressedTextFrame, entryText, textFrame, type Compression, type FrameFormat } from './frames.ts'
import { ChannelLog, entryBytes, type Entry, type LogLimits } from './log.ts'
import { comparePositions, isSameRun, type Position } from './position.ts'

/** A live listener of channels, as the hub sees a WebSocket connection. */
export interface Subscriber {
  readonly format: FrameFormat
  /** Its buffer is over the limit: the hub sends it nothing until it has caught up from the logs by itself. */
  readonly isLagging: boolean
  /** What the flush that is running has for it. Only the hub touches it. */
  batch: Channel | Channel[] | null
  /** Writes frames. It may be lagging afterwards. */
  write(frames: Buffer): void
  /** Messages of the channel were missed; it goes on behind `position`. */
  gap(channel: Channel, position: Position, reason: GapReason): void
  /** It can't have the channel any more: the broker refuses it. */
  refused(channel: Channel): void
  /** The channel has settled: a lagging subscriber may now be able to catch up. */
  catchUp(): void
}

/** Reads from the log when there is something in it: a waiting poll. */
export interface LogReader {
  wake(channel: Channel): void
  /** It can't have the channel any more: the broker refuses it. */
  refused(channel: Channel): void
}

/** Somebody who has to be given everything after a place, though it reads only now and then: a long-poll session. */
export interface Reader {
  placeIn(channel: Channel): Position | null
}

/**
 * - `joining`: subscribed or about to be; messages don't count yet, since their numbers aren't known
 * - `filling`: counting again after the connection was broken, the hole before not filled yet: nothing is delivered
 * - `live`: every message is delivered as it comes
 */
export type ChannelState = 'joining' | 'filling' | 'live'

/** A channel that has a log. A log is replaced, but never taken away: whoever has one of these can rely on it. */
export interface LoggedChannel extends Channel {
  log: ChannelLog
}

export function hasLog(channel: Channel): channel is LoggedChannel {
  return channel.log !== null
}

/** One channel on this node: its log, and who listens. */
export class Channel {
  readonly name: string
  /** The name as JSON, made once. */
  readonly nameJson: string
  readonly subscribers = new Set<Subscriber>()
  readonly waiters = new Set<LogReader>()
  readonly readers = new Set<Reader>()
  state: ChannelState = 'joining'
  /** The broker has refused it: nobody holds it any more, and whoever asks again gets another one. */
  isRefused = false
  /** Whether somebody reads from its log; then it has one as soon as it counts. */
  keepsLog = false
  /** `null` while nobody needs one. See {@link LoggedChannel}. */
  log: ChannelLog | null = null
  /** The log from before the connection broke, until the hole behind it is filled. */
  before: ChannelLog | null = null
  /** What the next flush delivers. */
  pending: Entry[] = []
  /** Requests that are at work on this channel. */
  interest = 0
  /** When the last listener or request left, in ms since the process started. */
  idleSince = 0
  /** Resolves when the channel is live, or when those who wait for that should look again. */
  settled: Promise<void>
  /** The newest message's place: counts within its beacon. */
  #beacon = 0
  #count = 0
  #settle!: () => void
  readonly #compression: Compression | null
  /** One for each format. */
  readonly #shared = [new SharedFrames(), new SharedFrames(), new SharedFrames(), new SharedFrames()] as const

  constructor(name: string, compression: Compression | null) {
    this.name = name
    this.#compression = compression
    this.nameJson = JSON.stringify(name)
    this.settled = this.#unsettled()
  }

  /** Messages that are kept, those from before a hole included. */
  get logMessages(): number {
    return (this.log?.size ?? 0) + (this.before?.size ?? 0)
  }

  /** The memory that the logs take. */
  get logBytes(): number {
    return (this.log?.bytes ?? 0) + (this.before?.bytes ?? 0)
  }

  get isIdle(): boolean {
    return (
      this.subscribers.size === 0 && this.waiters.size === 0 && this.readers.size === 0 && this.interest === 0
    )
  }

  /** Numbers a message that has come. */
  count(beacon: number, json: string, at: number, order: number): Entry {
    if (this.#beacon !== beacon) {
      this.#beacon = beacon
      this.#count = 0
    }
    return { beacon, count: ++this.#count, json, bytes: entryBytes(json), at, order }
  }

  /** Numbers a message that is not delivered, and drops what is before it: whoever lacks that has a gap in any case. */
  skip(beacon: number): Position {
    const { count } = this.count(beacon, '', 0, 0)
    const position = { beacon, count }
    this.log?.skip(position)
    return position
  }

  /** Where the channel stands: behind every message that has come. */
  head(beacon: number): Position {
    return this.#beacon === beacon ? { beacon, count: this.#count } : { beacon, count: 0 }
  }

  /** A log that keeps what {@link readers} lack. */
  startLog(limits: LogLimits, start: Position, reason: GapReason): ChannelLog {
    return new ChannelLog(limits, start, reason, (run) => this.#lowestPlace(run))
  }

  /** What comes after `place` is kept until `reader` has moved on. */
  addReader(reader: Reader, place: Position): void {
    this.readers.add(reader)
    this.log?.keepFrom(place)
  }

  /** Counting starts here. With a log from before there is a hole to fill first. */
  begin(beacon: number, limits: LogLimits): void {
    this.#beacon = beacon
    this.#count = 0
    if (this.log === null) {
      this.live()
      return
    }
    // If it breaks a second time before it was filled, the first hole is still the one that matters.
    this.before ??= this.log
    this.log = this.startLog(limits, { beacon, count: 0 }, 'broker')
    this.state = 'filling'
  }

  live(): void {
    this.state = 'live'
    this.#settle()
  }

  /** The broker refuses it: those who listen are told, and those who wait for it see it. */
  refuse(): void {
    this.isRefused = true
    this.wake()
    for (const listener of [...this.subscribers, ...this.waiters]) listener.refused(this)
  }

  /** Has those who wait for it look again. */
  wake(): void {
    this.#settle()
    this.settled = this.#unsettled()
  }

  /** The connection broke, with `beacon` as the last one: what comes next can't be numbered before the next. */
  broken(beacon: number): void {
    if (this.state === 'live') {
      // The hole begins here, not behind the last message: another node may hold the channel only since this beacon.
      this.log?.reach(this.head(beacon))
      this.settled = this.#unsettled()
    }
    this.state = 'joining'
  }

  /** The frames of everything pending, made once and shared by all who get just that. */
  batch(format: FrameFormat): Buffer {
    const shared = this.#sharedBy(format)
    return (shared.joined ??= this.#joined(format))
  }

  /** The same, one by one. */
  frames(format: FrameFormat): readonly Buffer[] {
    const shared = this.#sharedBy(format)
    return (shared.single ??= this.pending.map((entry) => this.frame(entry, format)))
  }

  /** Everything pending has been delivered. */
  delivered(): void {
    this.pending = []
    for (const shared of this.#shared) shared.clear()
  }

  frame(entry: Entry, { positions, compressed }: FrameFormat): Buffer {
    const text = entryText(entry, this.nameJson, positions)
    const isWorthIt =
      compressed && this.#compression !== null && text.length >= this.#compression.thresholdBytes
    return isWorthIt ? compressedTextFrame(text, this.#compression.options) : textFrame(text)
  }

  #lowestPlace(run: number): Position | null {
    let lowest: Position | null = null
    for (const reader of this.readers) {
      const place = reader.placeIn(this)
      if (place === null || !isSameRun(place.beacon, run)) continue
      if (lowest === null || comparePositions(place, lowest) < 0) lowest = place
    }
    return lowest
  }

  #joined(format: FrameFormat): Buffer {
    const { pending } = this
    return pending.length === 1 ? this.frame(pending[0]!, format) : Buffer.concat(this.frames(format))
  }

  #sharedBy({ positions, compressed }: FrameFormat): SharedFrames {
    return positions ? this.#shared[compressed ? 3 : 1] : this.#shared[compressed ? 2 : 0]
  }

  #unsettled(): Promise<void> {
    return new Promise((resolve) => {
      this.#settle = resolve
    })
  }
}

/** What a flush encodes, made only if somebody needs it. */
class SharedFrames {
  single: readonly Buffer[] | null = null
  joined: Buffer | null = null

  clear(): void {
    this.single = null
    this.joined = null
  }
}
