import type { GapReason } from '@broadcaster/protocol'
import {
  asciiFrame,
  compressedTextFrame,
  entryText,
  textFrame,
  type Compression,
  type FrameFormat,
} from './frames.ts'
import { ChannelLog, entryBytes, type Entry, type LogLimits } from './log.ts'
import { comparePositions, isSameRun, type Position } from './position.ts'

/** A live subscriber of channels. The hub sees a WebSocket connection as one. */
export interface Subscriber {
  readonly format: FrameFormat
  /** The id of the node that the client was on before, if it has named it. */
  readonly formerNode: string | null
  /**
   * Whether its buffer is over the limit. The hub does not write to a lagging subscriber, which catches up from the
   * logs by itself.
   */
  readonly isLagging: boolean
  /** The channels that the current flush delivers to it. Only the hub uses this. */
  batch: Channel | Channel[] | null
  /** Writes frames; a string is in `latin1`. The subscriber may be lagging afterwards. */
  write(frames: Buffer | string): void
  /** Reports that messages of the channel were missed. The subscriber continues after `position`. */
  gap(channel: Channel, position: Position, reason: GapReason): void
  /** The broker refuses the channel, so the subscriber loses it. */
  refused(channel: Channel): void
  /** The channel has become live. A lagging subscriber may be able to catch up now. */
  catchUp(): void
}

/** A reader that is woken when the log has new messages: a waiting poll. */
export interface LogReader {
  wake(channel: Channel): void
  /** The broker refuses the channel, so the reader loses it. */
  refused(channel: Channel): void
}

/**
 * Needs every message after its position, but reads only from time to time: a long-poll session. Or it retains messages for a
 * moment.
 */
export interface Reader {
  /** Whether a client needs the messages, and not only this node for a moment. */
  readonly isClient: boolean
  cursorIn(channel: Channel): Position | null
}

/**
 * - `joining`: the subscription is not confirmed yet; messages are not counted, because their numbers are not known
 * - `filling`: messages are counted again after the connection was broken, but the hole before is not filled yet; nothing is delivered
 * - `live`: every message is delivered as it arrives
 */
export type ChannelState = 'joining' | 'filling' | 'live'

/**
 * A channel that has a log. A log may be replaced, but is never removed, so code with a reference of this type can rely
 * on it.
 */
export interface LoggedChannel extends Channel {
  log: ChannelLog
}

export function hasLog(channel: Channel): channel is LoggedChannel {
  return channel.log !== null
}

/** One channel on this node: its log and its subscribers. */
export class Channel {
  readonly name: string
  /** The name as JSON, encoded once. */
  readonly nameJson: string
  readonly subscribers = new Set<Subscriber>()
  readonly logReaders = new Set<LogReader>()
  readonly readers = new Set<Reader>()
  state: ChannelState = 'joining'
  /** The broker has refused it. Then the channel is removed, and a new subscribe creates a new one. */
  isRefused = false
  /** Whether it needs a log. Then the log is created as soon as messages are counted. */
  keepsLog = false
  /** `null` while no log is needed. See {@link LoggedChannel}. */
  log: ChannelLog | null = null
  /** The log from before the connection broke, until the hole after it is filled. */
  before: ChannelLog | null = null
  /** The messages that the next flush delivers. */
  pending: Entry[] = []
  /** The reference count: the number of requests that are using this channel. It is retained while they do. */
  references = 0
  /** When the last subscriber or request left, in ms since the process started. */
  idleSince = 0
  /** Resolves when the channel is live, or when its state has changed so that requests must check it again. */
  settled: Promise<void>
  /** The position of the newest message: the current beacon, and the count since that beacon. */
  #beacon = 0
  #count = 0
  #settle!: () => void
  readonly #compression: Compression | null
  /** The shared frames, one object for each format. */
  readonly #shared = [new SharedFrames(), new SharedFrames(), new SharedFrames(), new SharedFrames()] as const

  constructor(name: string, compression: Compression | null) {
    this.name = name
    this.#compression = compression
    this.nameJson = JSON.stringify(name)
    this.settled = this.#unsettled()
  }

  /** The number of messages in the logs, including the log from before a hole. */
  get logMessages(): number {
    return (this.log?.size ?? 0) + (this.before?.size ?? 0)
  }

  /** The memory that the logs use. */
  get logBytes(): number {
    return (this.log?.bytes ?? 0) + (this.before?.bytes ?? 0)
  }

  get isIdle(): boolean {
    return (
      this.subscribers.size === 0 &&
      this.logReaders.size === 0 &&
      this.readers.size === 0 &&
      this.references === 0
    )
  }

  /** Assigns the next number to a received message. */
  count(beacon: number, json: string, receivedAt: number, arrival: number): Entry {
    if (this.#beacon !== beacon) {
      this.#beacon = beacon
      this.#count = 0
    }
    return { beacon, count: ++this.#count, json, bytes: entryBytes(json), receivedAt, arrival }
  }

  /**
   * Assigns a number to a message that is not delivered. The log drops all earlier messages, because a client that
   * lacks them has a gap in any case.
   */
  skip(beacon: number): Position {
    const { count } = this.count(beacon, '', 0, 0)
    const position = { beacon, count }
    this.log?.skip(position)
    return position
  }

  /** The head: the position after every message received so far. */
  head(beacon: number): Position {
    return this.#beacon === beacon ? { beacon, count: this.#count } : { beacon, count: 0 }
  }

  /**
   * The position of the last message received. Messages up to it may be pending for subscribers, but they are already in
   * the log. `beacon` is the current beacon.
   */
  lastPosition(beacon: number): Position {
    if (this.state === 'live') return this.head(beacon)
    return (this.before ?? this.log)?.head ?? this.head(beacon)
  }

  /** Gives the channel a log, from now on, or from the moment when it begins to count. */
  keepLog(beacon: number, limits: LogLimits): void {
    this.keepsLog = true
    if (this.state === 'live') this.withLog(beacon, limits)
  }

  /** Returns this live channel with its log. A channel without a log gets a new one, which begins here. */
  withLog(beacon: number, limits: LogLimits): LoggedChannel {
    this.keepsLog = true
    this.log ??= this.startLog(limits, this.lastPosition(beacon), 'node')
    // TypeScript does not narrow a class by its property.
    return this as LoggedChannel
  }

  /** The log, if it is complete and has every message after `position`. */
  logCovering(position: Position): ChannelLog | null {
    return this.state === 'live' && this.log?.covers(position) === true ? this.log : null
  }

  /** Creates a log that retains the messages that {@link readers} have not received. */
  startLog(limits: LogLimits, start: Position, reason: GapReason): ChannelLog {
    return new ChannelLog(limits, start, reason, (run) => this.#lowestCursor(run))
  }

  /** Adds a reader. Messages after `cursor` are retained until the reader has moved on. */
  addReader(reader: Reader, cursor: Position): void {
    this.readers.add(reader)
    this.log?.retainFrom(cursor)
  }

  /**
   * Begins to count messages at this beacon. If there is a log from before, there is a hole between the logs, which must
   * be filled first.
   */
  begin(beacon: number, limits: LogLimits): void {
    this.#beacon = beacon
    this.#count = 0
    if (this.log === null) {
      this.live()
      if (this.keepsLog) this.withLog(beacon, limits)
      return
    }
    // If the connection breaks again before the hole is filled, the hole still begins at the end of the first log.
    this.before ??= this.log
    this.log = this.startLog(limits, { beacon, count: 0 }, 'broker')
    this.state = 'filling'
  }

  live(): void {
    this.state = 'live'
    this.#settle()
  }

  /**
   * The broker refuses the channel. Its subscribers and readers are informed, and requests that wait for it check it
   * again.
   */
  refuse(): void {
    this.isRefused = true
    this.wake()
    for (const listener of [...this.subscribers, ...this.logReaders]) listener.refused(this)
  }

  /** Makes everybody who waits for {@link settled} check the state again. */
  wake(): void {
    this.#settle()
    this.settled = this.#unsettled()
  }

  /** The connection broke, and `beacon` was the last beacon. Messages cannot be numbered until the next beacon. */
  broken(beacon: number): void {
    if (this.state === 'live') {
      // The hole begins at the head, not after the last message: another node may hold the channel only since this
      // beacon.
      this.log?.reach(this.head(beacon))
      this.settled = this.#unsettled()
    }
    this.state = 'joining'
  }

  /**
   * The frames of all pending messages in one buffer. It is made once, and shared by all subscribers with this format. A single
   * frame for a single subscriber may be a string in `latin1`.
   */
  batch(format: FrameFormat): Buffer | string {
    if (this.subscribers.size === 1 && this.pending.length === 1 && !format.compressed) {
      const text = entryText(this.pending[0]!, this.nameJson, format.positions)
      return asciiFrame(text) ?? textFrame(text)
    }
    const shared = this.#sharedBy(format)
    return (shared.joined ??= this.#joined(format))
  }

  /** The frames of all pending messages, one buffer for each. */
  frames(format: FrameFormat): readonly Buffer[] {
    const shared = this.#sharedBy(format)
    return (shared.single ??= this.pending.map((entry) => this.frame(entry, format)))
  }

  /** Called when all pending messages have been delivered. */
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

  #lowestCursor(run: number): Position | null {
    let lowest: Position | null = null
    for (const reader of this.readers) {
      const cursor = reader.cursorIn(this)
      if (cursor === null || !isSameRun(cursor.beacon, run)) continue
      if (lowest === null || comparePositions(cursor, lowest) < 0) lowest = cursor
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

/** The frames of one flush, which are made only if a subscriber needs them. */
class SharedFrames {
  single: readonly Buffer[] | null = null
  joined: Buffer | null = null

  clear(): void {
    this.single = null
    this.joined = null
  }
}
