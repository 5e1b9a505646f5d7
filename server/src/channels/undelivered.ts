import type { Channel, Reader } from './channel.ts'
import type { Position } from './position.ts'
import { uptimeMs } from '../time/uptime.ts'

/**
 * How long the messages for a session are retained after it has moved to another node, which may have to request them.
 * In ms.
 */
const MOVING_MS = 10_000

/**
 * Tracks which messages have not certainly been delivered, for the long-poll sessions whose last request was served
 * here. Between two polls there is no reader, and an answer may be lost. So the logs retain the messages from the
 * position at which the last poll began, until the next poll or until the session has expired.
 */
export class Undelivered {
  readonly #sessions = new Map<string, SessionReader>()

  /** Returns the reader of a session that is now served here. It lives for at least `lifeMs`. */
  reader(session: string, lifeMs: number): SessionReader {
    let reader = this.#sessions.get(session)
    if (reader === undefined) {
      reader = new SessionReader()
      this.#sessions.set(session, reader)
    }
    reader.until = Math.max(reader.until, uptimeMs() + lifeMs)
    return reader
  }

  /** Whether a session of a client of the base protocol is known here, and will live for at least `ms` more. */
  shouldLive(session: string, ms: number): boolean {
    const reader = this.#sessions.get(session)
    return reader !== undefined && reader.isOfBase && reader.until - uptimeMs() > ms
  }

  /** The session is no longer subscribed to the channel. */
  forget(session: string, channel: string): void {
    this.#sessions.get(session)?.forget(channel)
  }

  /** The session has continued on another node. */
  moved(session: string): void {
    const reader = this.#sessions.get(session)
    if (reader !== undefined) reader.until = uptimeMs() + MOVING_MS
  }

  /** The session has ended. */
  end(session: string): void {
    this.#sessions.get(session)?.release()
    this.#sessions.delete(session)
  }

  /** Releases the sessions that have expired. Must be called periodically. */
  sweep(): void {
    const now = uptimeMs()
    for (const [session, { until }] of this.#sessions) if (until <= now) this.end(session)
  }
}

/** One session as a reader of channel logs. */
export class SessionReader implements Reader {
  readonly isClient = true
  /** When the session expires, in ms since the process started. */
  until = 0
  /** When the last answer with messages was made here, in ms since the process started. */
  answeredAt = -Infinity
  /** Whether the client speaks the base protocol, without the additions. */
  isOfBase = false
  readonly #cursors = new Map<Channel, Position>()
  #isReleased = false

  cursorIn(channel: Channel): Position | null {
    return this.#cursors.get(channel) ?? null
  }

  /** The session has received every message of the channel up to `cursor`. Later messages are retained. */
  retainFrom(channel: Channel, cursor: Position): void {
    // A request that is still at work when its session ends must not retain the channel: nobody would release it.
    if (this.#isReleased) return
    this.#cursors.set(channel, cursor)
    channel.addReader(this, cursor)
  }

  /** Releases every other channel. */
  retainOnly(isNeeded: (name: string) => boolean): void {
    for (const channel of this.#cursors.keys()) if (!isNeeded(channel.name)) this.#drop(channel)
  }

  forget(name: string): void {
    for (const channel of this.#cursors.keys()) if (channel.name === name) this.#drop(channel)
  }

  release(): void {
    this.#isReleased = true
    for (const channel of this.#cursors.keys()) this.#drop(channel)
  }

  #drop(channel: Channel): void {
    this.#cursors.delete(channel)
    channel.readers.delete(this)
    channel.idleSince = uptimeMs()
  }
}
