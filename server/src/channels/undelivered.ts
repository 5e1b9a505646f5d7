import type { Channel, Reader } from './channel.ts'
import type { Position } from './position.ts'
import { uptimeMs } from '../time/uptime.ts'

/** How long what a session lacks is kept after it went to another node, which may have to ask for it. In ms. */
const MOVING_MS = 10_000

/**
 * What the long-poll sessions that were here last have not been given for certain. Between two polls nobody waits, and an
 * answer may get lost, so the logs are told to keep it: from where the last poll began until the next one, or until the
 * session has expired.
 */
export class Undelivered {
  readonly #sessions = new Map<string, SessionReader>()

  /** From now on the session is served here, and lives for `lifeMs` at least. */
  reader(session: string, lifeMs: number): SessionReader {
    let reader = this.#sessions.get(session)
    if (reader === undefined) {
      reader = new SessionReader()
      this.#sessions.set(session, reader)
    }
    reader.until = Math.max(reader.until, uptimeMs() + lifeMs)
    return reader
  }

  /** Whether a session of a client of the base is known here, and should live for `ms` more. */
  shouldLive(session: string, ms: number): boolean {
    const reader = this.#sessions.get(session)
    return reader !== undefined && reader.isOfBase && reader.until - uptimeMs() > ms
  }

  /** The session has lost a channel. */
  forget(session: string, channel: string): void {
    this.#sessions.get(session)?.forget(channel)
  }

  /** The session has gone on at another node. */
  moved(session: string): void {
    const reader = this.#sessions.get(session)
    if (reader !== undefined) reader.until = uptimeMs() + MOVING_MS
  }

  /** The session is no more. */
  end(session: string): void {
    this.#sessions.get(session)?.release()
    this.#sessions.delete(session)
  }

  /** Lets go of the sessions that have expired. */
  sweep(): void {
    const now = uptimeMs()
    for (const [session, { until }] of this.#sessions) if (until <= now) this.end(session)
  }
}

/** One session, as the channels' logs see it. */
export class SessionReader implements Reader {
  /** When the session will have expired, in ms since the process started. */
  until = 0
  /** Whether its client knows no additions. */
  isOfBase = false
  readonly #places = new Map<Channel, Position>()

  placeIn(channel: Channel): Position | null {
    return this.#places.get(channel) ?? null
  }

  /** The session has everything of the channel up to `place`. */
  keep(channel: Channel, place: Position): void {
    this.#places.set(channel, place)
    channel.addReader(this, place)
  }

  /** The session has no others. */
  keepOnly(names: { has(name: string): boolean }): void {
    for (const channel of this.#places.keys()) if (!names.has(channel.name)) this.#drop(channel)
  }

  forget(name: string): void {
    for (const channel of this.#places.keys()) if (channel.name === name) this.#drop(channel)
  }

  release(): void {
    for (const channel of this.#places.keys()) this.#drop(channel)
  }

  #drop(channel: Channel): void {
    this.#places.delete(channel)
    channel.readers.delete(this)
    channel.idleSince = uptimeMs()
  }
}
