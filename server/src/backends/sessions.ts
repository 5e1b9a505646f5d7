import type { Position } from '@broadcaster/protocol'
import { hash } from 'node:crypto'

/** The client that a session belongs to. A newer connection of the same client ends the session. */
export interface SessionOwner {
  /** The name that the client gave itself, or `null`. */
  readonly client: string | null
  readonly generation: number
  /** When the client has to send credentials again, in ms since 1970. Missing if never, as in sessions of older nodes. */
  readonly endsAt?: number
}

/** The part of a long-poll session that never changes. */
export interface SessionIdentity extends SessionOwner {
  readonly auth: Record<string, unknown>
  readonly context: unknown
  /** The protocol version, 0 for the original's clients. */
  readonly version: number
}

/** What is known about a session that the store has. */
export type Known<T extends SessionOwner> = T & {
  /** Its last answer reported missed messages: the session is not used any more, and ends soon. */
  readonly hasMissed: boolean
}

/** A long-poll session between two requests. Any node may receive the next one. */
export interface Session extends Known<SessionIdentity> {
  /** The cursor of each subscribed channel: the client has received the messages up to it. */
  readonly channels: ReadonlyMap<string, Position>
  /** The last answer. It is not known whether the client has received it. */
  readonly answer: SessionAnswer | null
  /**
   * The last poll: `node/number`. It may be waiting or answered. Before the first poll, this is the node where the first
   * channel was subscribed, with the number 0.
   */
  readonly poller: string | null
}

/** Makes a session from its stored parts. */
export function toSession(
  identity: SessionIdentity,
  { channels, answer, poller }: Pick<Session, 'channels' | 'answer' | 'poller'>,
): Session {
  return { ...identity, hasMissed: hasMissed(answer), channels, answer, poller }
}

export function hasMissed(answer: SessionAnswer | null): boolean {
  return answer?.isLast === true
}

export interface SessionAnswer {
  /** The `seq` of the poll that was answered. */
  readonly seq: string
  /** For each channel of which the answer has messages, the position of the last one. */
  readonly positions: Readonly<Record<string, Position>>
  /** The answer reported missed messages: the session is not used any more, and ends soon. */
  readonly isLast?: true
}

/** The limits of one session. `Infinity` disables a limit. */
export interface SessionLimits {
  readonly channels: number
  /** The maximum number of UTF-8 bytes of all channel names together. */
  readonly nameBytes: number
}

/** The session has too many channels, or their names have too many bytes. */
export type SessionFull = 'tooManyChannels' | 'namesTooLong'

/** `gone`: there is no such session. */
export type SessionReserved = 'reserved' | 'gone' | SessionFull

export interface SessionSubscribeOptions {
  /** Whether the position replaces the stored one. */
  readonly replace: boolean
  /** Becomes the poll of a session that has none yet. */
  readonly poller: string
}

export interface SessionSubscribed {
  /** The position that is stored now. */
  readonly position: Position
  /** The poll of the session. */
  readonly poller: string
  /** Whether the session did not have the channel before. */
  readonly isNew: boolean
}

export interface SessionUnsubscribed {
  /** The poll of the session. */
  readonly poller: string | null
  /** Whether the session had the channel. */
  readonly wasSubscribed: boolean
}

/**
 * The id of a session for nodes and for Redis. Somebody who sees the keys in Redis (`KEYS`, keyspace notifications, a
 * monitor) cannot take the session over, because only its client has the token.
 */
export function sessionId(token: string): string {
  // 128 bits, like a token.
  return hash('sha256', token, 'hex').slice(0, 32)
}

/** The key by which a session remembers the `seq` of a poll. It is short, and has no space. */
export function seqKey(seq: string): string {
  return /^[\w-]{1,16}$/.test(seq) ? seq : hash('sha256', seq, 'hex').slice(0, 16)
}

/** The keys of a session's last polls are stored as one text, with a space after each key. This is its maximum length. */
export const SEQS_LENGTH = 400

/**
 * Stores the long-poll sessions of all nodes by their id (see {@link sessionId}). Every operation is atomic. An expired
 * session is the same as one that never existed. An operation reads only what it needs: a session may have many channels,
 * and only a poll reads their names.
 */
export interface SessionStore {
  /** Returns false, and creates nothing, if all nodes together already have `maxSessions` sessions. */
  create(id: string, identity: SessionIdentity, maxSessions: number): Promise<boolean>
  /** Prolongs the session for a request. Resolves with `null` if there is no such session. */
  touch(id: string): Promise<Known<SessionOwner> | null>
  /** The same as {@link touch}, for a request that needs the auth data and the context of the client. */
  identify(id: string): Promise<Known<SessionIdentity> | null>
  /**
   * Makes `poller` the poll of the session, and prolongs the session. Resolves with the session as it was before. `seq` is the
   * key of the poll's `seq` (see {@link seqKey}), or `null` if the session does not have to remember it. `late`: it is the `seq`
   * of a poll before the last one. The poll of the session is then not changed.
   */
  beginPoll(id: string, poller: string, seq: string | null): Promise<Session | 'late' | null>
  /**
   * Stores an answer, and the positions that the client has received, if `poller` is still the poll of the session.
   * Resolves with whether it was.
   */
  commitAnswer(
    id: string,
    poller: string,
    answer: SessionAnswer,
    delivered: Readonly<Record<string, Position>>,
  ): Promise<boolean>
  /**
   * Reserves a channel that the session is about to get, so that a channel over the limits is refused before it is
   * subscribed at the broker. Changes nothing if the session has the channel. {@link subscribe} or {@link release} must
   * follow.
   */
  reserve(id: string, channel: string, limits: SessionLimits): Promise<SessionReserved>
  /** Gives up the reservation of a channel that the session did not get. */
  release(id: string, channel: string): Promise<void>
  /**
   * Adds a reserved channel, and prolongs the session. If the channel is already subscribed, it keeps its position, unless
   * `replace` is set. Resolves with the stored values. `unreserved`: the channel was unsubscribed or revoked after
   * {@link reserve}, so this request is outdated, and changes nothing.
   */
  subscribe(
    id: string,
    channel: string,
    position: Position,
    options: SessionSubscribeOptions,
  ): Promise<SessionSubscribed | 'gone' | 'unreserved'>
  /**
   * Resolves with `null` if there is no such session. Does not prolong the session, because the server may be revoking the
   * channel.
   */
  unsubscribe(id: string, channel: string): Promise<SessionUnsubscribed | null>
  /** Ends the session. Resolves with its poll. */
  end(id: string): Promise<string | null>
  /**
   * The number of sessions of all nodes together.
   *
   * @throws {BroadcasterError} `brokerUnavailable`, or `brokerRefused`
   */
  count(): Promise<number>
  /**
   * All sessions, a few at a time. Every session that exists from the call to the end of the iteration is included, even
   * if the clocks of the nodes differ.
   */
  all(): AsyncIterable<readonly [id: string, identity: SessionIdentity]>
}

/** How long a session lives, in ms (PROTOCOL.md L9). */
export interface SessionLife {
  /** After a request that is not a poll. */
  readonly idleMs: number
  /** After a poll. */
  readonly pollingMs: number
  /**
   * A poll does not prolong a session that will live for this time. Otherwise each of many polls a second would be a
   * write.
   */
  readonly enoughMs: number
}

export function sessionLife(timeoutMs: number): SessionLife {
  const idleMs = timeoutMs + 1000
  return { idleMs, pollingMs: 2 * idleMs, enoughMs: Math.ceil(1.5 * idleMs) }
}
