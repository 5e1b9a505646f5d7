import type { Position } from '@broadcaster/protocol'
import { hash } from 'node:crypto'

/** The part of a long-poll session that does not change. */
export interface SessionIdentity {
  readonly auth: Record<string, unknown>
  readonly context: unknown
  /** The protocol version; 0 for clients of the original. */
  readonly version: number
  readonly client: string | null
  readonly generation: number
}

/** The state of a long-poll session between two requests. Any node may serve the next request. */
export interface Session extends SessionIdentity {
  /** The subscribed channels. Each position is the cursor up to which messages have certainly been delivered. */
  readonly channels: ReadonlyMap<string, Position>
  /** The last answer. It is not known whether it has arrived. */
  readonly answer: SessionAnswer | null
  /**
   * The last poll, as `node/number`. It may still be waiting, or it may have been answered. Before the first poll, it
   * is the node on which the first channel was subscribed, with the number 0.
   */
  readonly poller: string | null
}

export interface SessionAnswer {
  /** The `seq` of the poll that was answered. */
  readonly seq: string
  /** The positions up to which the answer delivers messages, for the channels of which it has messages. */
  readonly positions: Readonly<Record<string, Position>>
  /** The answer reported a gap: the session is not used any more, and ends soon. */
  readonly isLast?: true
}

export interface SessionSubscribeOptions {
  /** Whether the position replaces an existing one. */
  readonly replace: boolean
  readonly maxChannels: number
  /** The value for `poller` if the session has none yet. */
  readonly poller: string
}

export interface SessionSubscribed {
  /** The position that is stored now. */
  readonly position: Position
  /** The session's current poll. */
  readonly poller: string
  /** Whether the channel was not subscribed before. */
  readonly isNew: boolean
}

/**
 * The id under which nodes and Redis know a session. It is a hash of the token. Somebody who can see the keys in Redis
 * (`KEYS`, keyspace notifications, MONITOR) cannot take over the session, because only its client has the token.
 */
export function sessionId(token: string): string {
  // The id has 128 bits, as many as a token.
  return hash('sha256', token, 'hex').slice(0, 32)
}

/**
 * The store of long-poll sessions, by their id (see {@link sessionId}). Every step is atomic. An expired session is
 * treated like one that does not exist.
 */
export interface SessionStore {
  create(id: string, identity: SessionIdentity): Promise<void>
  /** Returns `null` if the session does not exist. Does not prolong it. */
  read(id: string): Promise<Session | null>
  /**
   * Makes `poller` the current poll of the session, and prolongs the session. Returns its state from before that, or
   * `null` if it does not exist.
   */
  beginPoll(id: string, poller: string): Promise<Session | null>
  /**
   * Stores an answer, if `poller` is still the current poll of the session. `delivered` replaces the positions of its
   * channels: the cursors up to which messages have certainly been delivered. Returns whether it was stored.
   */
  commitAnswer(
    id: string,
    poller: string,
    answer: SessionAnswer,
    delivered: Readonly<Record<string, Position>>,
  ): Promise<boolean>
  /**
   * Adds a channel and prolongs the session. If the channel is already subscribed, its position is kept, unless
   * `replace` is set. Returns the state that is stored now, or the reason why the channel was not added.
   */
  subscribe(
    id: string,
    channel: string,
    position: Position,
    options: SessionSubscribeOptions,
  ): Promise<SessionSubscribed | 'gone' | 'full'>
  /** Removes a channel. Returns the session's current poll, or `null` if the session does not exist. */
  unsubscribe(id: string, channel: string): Promise<{ poller: string | null } | null>
  /** Ends the session. Returns its current poll. */
  end(id: string): Promise<string | null>
  /** The number of living sessions on all nodes together. */
  count(): Promise<number>
  /**
   * All living sessions, read page by page. Every session that exists during the whole call is included, even if clocks
   * differ.
   */
  all(): AsyncIterable<readonly [id: string, session: Session]>
}

/**
 * How long a session lives after its last request (`idleMs`), and after the begin of a poll (`pollingMs`), in ms
 * (PROTOCOL.md L9).
 */
export interface SessionLife {
  readonly idleMs: number
  readonly pollingMs: number
}

export function sessionLife(timeoutMs: number): SessionLife {
  return { idleMs: timeoutMs + 1000, pollingMs: 2 * (timeoutMs + 1000) }
}
