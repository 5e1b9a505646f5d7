import type { Position } from '@broadcaster/protocol'
import { hash } from 'node:crypto'

/** What stays the same for the life of a long-poll session. */
export interface SessionIdentity {
  readonly auth: Record<string, unknown>
  readonly context: unknown
  /** The protocol version, 0 for the original's clients. */
  readonly version: number
  readonly client: string | null
  readonly generation: number
}

/** A long-poll session as it stands between two requests, for whichever node gets the next one. */
export interface Session extends SessionIdentity {
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

export interface SessionSubscribeOptions {
  /** Whether the position takes the place of the one that is there. */
  readonly replace: boolean
  readonly maxChannels: number
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

/**
 * Under which a session is known to nodes and to Redis: whoever sees the keys there (`KEYS`, keyspace notifications, a
 * monitor) can't take it over, since only its client has the token.
 */
export function sessionId(token: string): string {
  // 128 bits, as a token has.
  return hash('sha256', token, 'hex').slice(0, 32)
}

/** Where long-poll sessions live, by their id (see {@link sessionId}). Every step is atomic, and a session that has expired is as one that never was. */
export interface SessionStore {
  create(id: string, identity: SessionIdentity): Promise<void>
  /** `null` if there is no such session. Does not prolong it. */
  read(id: string): Promise<Session | null>
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
   * Adds a channel, and prolongs the session; where it is subscribed already its position stays, unless `replace`. Returns
   * what holds now, or why it can't be.
   */
  subscribe(
    id: string,
    channel: string,
    position: Position,
    options: SessionSubscribeOptions,
  ): Promise<SessionSubscribed | 'gone' | 'full'>
  /** Returns the session's poll, or `null` if there is no such session. */
  unsubscribe(id: string, channel: string): Promise<{ poller: string | null } | null>
  /** Ends the session; returns its poll. */
  end(id: string): Promise<string | null>
  /** How many sessions live, on all nodes together. */
  count(): Promise<number>
  /** All living sessions, a few at a time: each that is there from the call to the end of it, whatever clocks say. */
  all(): AsyncIterable<readonly [id: string, session: Session]>
}

/** How long a session lives after its last request, and while it polls, in ms (PROTOCOL.md L9). */
export interface SessionLife {
  readonly idleMs: number
  readonly pollingMs: number
}

export function sessionLife(timeoutMs: number): SessionLife {
  return { idleMs: timeoutMs + 1000, pollingMs: 2 * (timeoutMs + 1000) }
}
