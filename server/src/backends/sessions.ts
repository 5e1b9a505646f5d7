import type { Position } from '@broadcaster/protocol'
import { hash } from 'node:crypto'

/** The client that a session belongs to. A newer connection of the same client ends the session. */
export interface SessionOwner {
  /** The name that the client gave itself, or `null`. */
  readonly client: string | null
  readonly generation: number
}

/** What stays the same for the life of a long-poll session. */
export interface SessionIdentity extends SessionOwner {
  readonly auth: Record<string, unknown>
  readonly context: unknown
  /** The protocol version, 0 for the original's clients. */
  readonly version: number
}

/** Of a session that the store has. */
export type Known<T extends SessionOwner> = T & {
  /** Its last answer said that messages were missed: the session is not used any more, and ends soon. */
  readonly hasMissed: boolean
}

/** A long-poll session as it stands between two requests, for whichever node gets the next one. */
export interface Session extends Known<SessionIdentity> {
  /** The subscribed channels, and from where on they have not been delivered for certain. */
  readonly channels: ReadonlyMap<string, Position>
  /** The answer that was given last, of which it is not known whether it arrived. */
  readonly answer: SessionAnswer | null
  /**
   * The poll that came last: `node/number`. It may be waiting still, or be answered; before there is one, the node where the
   * first channel was subscribed, with the number 0.
   */
  readonly poller: string | null
}

export interface SessionAnswer {
  /** The `seq` of the poll that was answered. */
  readonly seq: string
  /** Up to where that answer goes, for the channels that it had messages of. */
  readonly positions: Readonly<Record<string, Position>>
  /** It said that messages were missed: the session is not used any more, and ends soon. */
  readonly isLast?: true
}

/** What one session may have at most; `Infinity` is no limit. */
export interface SessionLimits {
  readonly channels: number
  /** Bytes of UTF-8 of the names of these channels together. */
  readonly nameBytes: number
}

/** The session has too many channels, or their names have too many bytes. */
export type SessionFull = 'tooManyChannels' | 'namesTooLong'

export interface SessionSubscribeOptions {
  /** Whether the position takes the place of the one that is there. */
  readonly replace: boolean
  /** The session's poll, if it has none yet. */
  readonly poller: string
}

export interface SessionSubscribed {
  /** The position that holds now. */
  readonly position: Position
  /** The session's poll. */
  readonly poller: string
  /** It did not have the channel before. */
  readonly isNew: boolean
}

export interface SessionUnsubscribed {
  /** The session's poll. */
  readonly poller: string | null
  /** Whether the session had the channel. */
  readonly wasSubscribed: boolean
}

/**
 * Under which a session is known to nodes and to Redis: whoever sees the keys there (`KEYS`, keyspace notifications, a
 * monitor) can't take it over, since only its client has the token.
 */
export function sessionId(token: string): string {
  // 128 bits, as a token has.
  return hash('sha256', token, 'hex').slice(0, 32)
}

/**
 * Where long-poll sessions live, by their id (see {@link sessionId}). Every step is atomic. A session that has expired is the
 * same as one that never existed. A step reads only what it needs: the names of a session's channels may be many, and only
 * a poll reads them.
 */
export interface SessionStore {
  /** Returns false, and creates nothing, if `maxSessions` sessions live already, on all nodes together. */
  create(id: string, identity: SessionIdentity, maxSessions: number): Promise<boolean>
  /** A request has come: prolongs the session. `null` if there is no such session. */
  touch(id: string): Promise<Known<SessionOwner> | null>
  /** The same, for a request that has to know what the application said of the client. */
  identify(id: string): Promise<Known<SessionIdentity> | null>
  /** Makes `poller` the session's poll, prolongs it, and returns it as it was before. */
  beginPoll(id: string, poller: string): Promise<Session | null>
  /**
   * Remembers an answer, if `poller` is still the session's poll, and with it the positions that `answer` replaces.
   * Returns whether it was.
   */
  commitAnswer(
    id: string,
    poller: string,
    answer: SessionAnswer,
    delivered: Readonly<Record<string, Position>>,
  ): Promise<boolean>
  /**
   * Keeps room for a channel that the session is about to get, so that one over the limits is refused before the broker is
   * asked for it. Changes nothing if the session has the channel. {@link subscribe} or {@link release} has to follow.
   */
  reserve(id: string, channel: string, limits: SessionLimits): Promise<'reserved' | 'gone' | SessionFull>
  /** Gives up the room for a channel that the session did not get. */
  release(id: string, channel: string): Promise<void>
  /**
   * Adds a channel that room is kept for, and prolongs the session; where it is subscribed already its position stays,
   * unless `replace`. Returns what holds now. `unreserved`: the channel was taken away since {@link reserve}, so this request
   * is older than what took it away, and changes nothing.
   */
  subscribe(
    id: string,
    channel: string,
    position: Position,
    options: SessionSubscribeOptions,
  ): Promise<SessionSubscribed | 'gone' | 'unreserved'>
  /** Returns `null` if there is no such session. Does not prolong it: it may be the server that takes the channel away. */
  unsubscribe(id: string, channel: string): Promise<SessionUnsubscribed | null>
  /** Ends the session; returns its poll. */
  end(id: string): Promise<string | null>
  /**
   * How many sessions live, on all nodes together.
   *
   * @throws {BroadcasterError} `brokerUnavailable`, or `brokerRefused`
   */
  count(): Promise<number>
  /** All living sessions, a few at a time: each that is there from the call to the end of it, whatever clocks say. */
  all(): AsyncIterable<readonly [id: string, identity: SessionIdentity]>
}

/** How long a session lives, in ms (PROTOCOL.md L9). */
export interface SessionLife {
  /** After a request. */
  readonly idleMs: number
  /** After a poll. */
  readonly pollingMs: number
  /** A poll does not prolong a session that has this long to live: polls may be many a second, and each would be a write. */
  readonly enoughMs: number
}

export function sessionLife(timeoutMs: number): SessionLife {
  const idleMs = timeoutMs + 1000
  return { idleMs, pollingMs: 2 * idleMs, enoughMs: Math.ceil(1.5 * idleMs) }
}
