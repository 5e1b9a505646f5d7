import type { Position } from '@broadcaster/protocol'
import {
  hasMissed,
  SEQS_LENGTH,
  sessionLife,
  toSession,
  type Session,
  type Known,
  type SessionAnswer,
  type SessionIdentity,
  type SessionLife,
  type SessionLimits,
  type SessionOwner,
  type SessionReserved,
  type SessionStore,
  type SessionSubscribed,
  type SessionSubscribeOptions,
  type SessionUnsubscribed,
} from './sessions.ts'
import { uptimeMs } from '../time/uptime.ts'

interface StoredSession {
  readonly identity: SessionIdentity
  /** The position is `null` if the channel is reserved and not subscribed yet. */
  readonly channels: Map<string, Position | null>
  /** The number of bytes of the names of these channels. */
  nameBytes: number
  answer: SessionAnswer | null
  poller: string | null
  /** The keys of the `seq` of the last polls, the newest at the end. There is a space before and after each of them. */
  seqs: string
  /** In ms since the process started. */
  expiresAt: number
}

/** The sessions of one process. An operation is atomic because it is synchronous. */
export class MemorySessions implements SessionStore {
  readonly #life: SessionLife
  readonly #sessions = new Map<string, StoredSession>()

  constructor(timeoutMs: number) {
    this.#life = sessionLife(timeoutMs)
  }

  async create(id: string, identity: SessionIdentity, maxSessions: number): Promise<boolean> {
    this.#dropExpired()
    if (this.#sessions.size >= maxSessions) return false
    // A copy, as with Redis, so that later changes of the caller's objects have no effect.
    const copy = JSON.parse(JSON.stringify(identity)) as SessionIdentity
    this.#sessions.set(id, {
      identity: copy,
      channels: new Map(),
      nameBytes: 0,
      answer: null,
      poller: null,
      seqs: ' ',
      expiresAt: uptimeMs() + this.#life.idleMs,
    })
    return true
  }

  touch(id: string): Promise<Known<SessionOwner> | null> {
    return this.identify(id)
  }

  async identify(id: string): Promise<Known<SessionIdentity> | null> {
    const stored = this.#find(id)
    if (stored === undefined) return null
    this.#prolong(stored)
    return { ...stored.identity, hasMissed: hasMissed(stored.answer) }
  }

  async beginPoll(id: string, poller: string, seq: string | null): Promise<Session | 'late' | null> {
    const stored = this.#find(id)
    if (stored === undefined) return null
    stored.expiresAt = uptimeMs() + this.#life.pollingMs
    if (seq !== null && !stored.seqs.endsWith(` ${seq} `)) {
      if (stored.seqs.includes(` ${seq} `)) return 'late'
      stored.seqs = `${stored.seqs}${seq} `.slice(-SEQS_LENGTH)
    }
    const before = snapshot(stored)
    stored.poller = poller
    return before
  }

  async commitAnswer(
    id: string,
    poller: string,
    answer: SessionAnswer,
    delivered: Readonly<Record<string, Position>>,
  ): Promise<boolean> {
    const stored = this.#find(id)
    if (stored === undefined || stored.poller !== poller) return false
    stored.answer = answer
    for (const [channel, position] of Object.entries(delivered)) {
      if ((stored.channels.get(channel) ?? null) !== null) stored.channels.set(channel, position)
    }
    return true
  }

  async reserve(id: string, channel: string, limits: SessionLimits): Promise<SessionReserved> {
    const stored = this.#find(id)
    if (stored === undefined) return 'gone'
    if (stored.channels.has(channel)) return 'reserved'
    const nameBytes = stored.nameBytes + Buffer.byteLength(channel)
    if (stored.channels.size >= limits.channels) return 'tooManyChannels'
    if (nameBytes > limits.nameBytes) return 'namesTooLong'
    stored.channels.set(channel, null)
    stored.nameBytes = nameBytes
    return 'reserved'
  }

  async release(id: string, channel: string): Promise<void> {
    const stored = this.#find(id)
    if (stored?.channels.get(channel) === null) this.#remove(stored, channel)
  }

  async subscribe(
    id: string,
    channel: string,
    position: Position,
    { replace, poller }: SessionSubscribeOptions,
  ): Promise<SessionSubscribed | 'gone' | 'unreserved'> {
    const stored = this.#find(id)
    if (stored === undefined) return 'gone'
    const known = stored.channels.get(channel)
    if (known === undefined) return 'unreserved'
    const isNew = known === null
    const holds = isNew || replace ? position : known
    stored.channels.set(channel, holds)
    stored.poller ??= poller
    this.#prolong(stored)
    return { position: holds, poller: stored.poller, isNew }
  }

  async unsubscribe(id: string, channel: string): Promise<SessionUnsubscribed | null> {
    const stored = this.#find(id)
    if (stored === undefined) return null
    const wasSubscribed = (stored.channels.get(channel) ?? null) !== null
    this.#remove(stored, channel)
    return { poller: stored.poller, wasSubscribed }
  }

  async end(id: string): Promise<string | null> {
    const poller = this.#find(id)?.poller ?? null
    this.#sessions.delete(id)
    return poller
  }

  async count(): Promise<number> {
    this.#dropExpired()
    return this.#sessions.size
  }

  async *all(): AsyncIterable<readonly [string, SessionIdentity]> {
    this.#dropExpired()
    for (const [id, { identity }] of this.#sessions) yield [id, identity]
  }

  #prolong(stored: StoredSession): void {
    stored.expiresAt = Math.max(stored.expiresAt, uptimeMs() + this.#life.idleMs)
  }

  #remove(stored: StoredSession, channel: string): void {
    if (stored.channels.delete(channel)) stored.nameBytes -= Buffer.byteLength(channel)
  }

  #find(id: string): StoredSession | undefined {
    const stored = this.#sessions.get(id)
    if (stored === undefined || stored.expiresAt > uptimeMs()) return stored
    this.#sessions.delete(id)
    return undefined
  }

  #dropExpired(): void {
    for (const id of this.#sessions.keys()) this.#find(id)
  }
}

function snapshot({ identity, channels, answer, poller }: StoredSession): Session {
  const subscribed = new Map<string, Position>()
  for (const [channel, position] of channels) if (position !== null) subscribed.set(channel, position)
  return toSession(identity, { channels: subscribed, answer, poller })
}
