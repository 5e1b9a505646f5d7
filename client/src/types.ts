import type { GapReason, Position } from '@broadcaster/protocol'
import type { BroadcasterError } from './errors.ts'

/**
 * Your channels and what `JSON.parse` makes of their bodies, declared once:
 *
 * ```ts
 * declare module '@broadcaster/client' {
 *   interface Channels { orders: Order; [room: `room:${string}`]: RoomMessage }
 * }
 * ```
 *
 * The client itself uses the names only, for completion: it always hands out the body as the string that was
 * published. `@broadcaster/react` checks bodies with a `schema` and types them by this map.
 */
export interface Channels {}

/** Any string; those declared in {@link Channels} are suggested. */
export type ChannelName = (keyof Channels & string) | (string & {})

/**
 * - `idle`: not asked to connect yet
 * - `connecting`: the first attempt is on its way
 * - `connected`: authenticated
 * - `reconnecting`: an attempt failed or the connection was lost; it is tried again by itself
 * - `disconnected`: ended by `disconnect()`, or for good (see `error`); only `connect()` leaves this state
 */
export type Status = 'idle' | 'connecting' | 'connected' | 'reconnecting' | 'disconnected'

export type TransportName = 'websocket' | 'longpoll'

/** `auto` tries WebSocket, falls back to long-poll, and goes back to WebSocket when that works. */
export type Mode = 'auto' | TransportName

/** What the server's `canConnect` gets. Keys that begin with `__` are reserved and not sent. */
export type AuthData = Readonly<Record<string, unknown>>

/**
 * What this package needs of a WebSocket implementation: the browsers' interface, which `ws` has too. The types of their
 * events differ, so they are left open here.
 */
export interface WebSocketLike {
  onopen: ((event: any) => void) | null
  /** `data` is the frame's text. */
  onmessage: ((event: any) => void) | null
  onerror: ((event: any) => void) | null
  /** With `code` and `reason`. */
  onclose: ((event: any) => void) | null
  send(data: string): void
  close(code?: number, reason?: string): void
}

export type WebSocketConstructor = new (
  url: string,
  protocols?: string[],
  options?: { headers: Record<string, string> },
) => WebSocketLike

/** What this package needs of a `fetch` implementation. */
export type FetchLike = (
  url: string,
  init: { method: string; headers: Record<string, string>; body: string; signal: AbortSignal },
) => Promise<{
  readonly status: number
  /** For `Retry-After`. */
  readonly headers?: { get(name: string): string | null }
  text(): Promise<string>
}>

export interface ClientOptions {
  /**
   * Which transport to use.
   *
   * @default 'auto'
   */
  mode?: Mode
  /**
   * Credentials for the server's `canConnect`: an object, or a function, which may be async and is called for
   * every connection attempt, so that an expired token is renewed by itself. When it throws, the attempt has
   * failed and is tried again; an `error` event with code `authFunction` tells of it.
   *
   * @default {}
   */
  auth?: AuthData | (() => AuthData | Promise<AuthData>)
  /**
   * Milliseconds after which a connection attempt, or a call that the server does not answer, is given up.
   * Should not be less than the server's `timeout`: a poll is repeated this long, and ten seconds, after it
   * was sent.
   *
   * @default 30000
   */
  timeout?: number
  /**
   * Milliseconds between keep-alives on a WebSocket. When the server does not answer one in this time, or in ten
   * seconds if that is less, the connection is taken for dead and made anew. (A server without this kit's
   * additions to the protocol answers none; there, dead connections go unnoticed until the network says so.)
   *
   * @default 30000
   */
  pingInterval?: number
  /**
   * How many attempts in a row to reconnect before giving up with code `maxAttempts`. 0 never tries again.
   *
   * @default Infinity
   */
  maxAttempts?: number
  /**
   * Extra request headers, for Node: sent with every long-poll request, and handed to the constructor of the
   * `WebSocket` option the way `ws` takes them. Browsers can't send headers with a WebSocket: use `auth`.
   *
   * @default {}
   */
  headers?: Record<string, string>
  /**
   * The WebSocket implementation, where the platform has none (Node 20: `import WebSocket from 'ws'`).
   * Without one, `auto` is long-poll.
   *
   * @default the platform's
   */
  WebSocket?: WebSocketConstructor
  /**
   * The fetch implementation for long-poll. Wrap it to change a request, for instance to send cookies to
   * another origin: `(url, init) => fetch(url, { ...init, credentials: 'include' })`.
   *
   * @default the platform's
   */
  fetch?: FetchLike
}

/** One message of a channel. */
export interface Message {
  readonly channel: string
  /** As it was published. */
  readonly body: string
  /** Its place in the channel; opaque. Missing where the server has no recovery. */
  readonly position?: Position
}

/** May be async: the next message does not wait for it, and what it rejects with is an `error` event. */
export type MessageHandler = (body: string, message: Message) => unknown

/** Messages of a channel were missed, or may have been: fetch anew what you show of it. */
export interface Gap {
  readonly channel: string
  readonly reason: GapReason
  /** Where the channel continues; opaque. Missing where the server has no recovery. */
  readonly position?: Position
}

/**
 * - `subscribing`: the server has not answered yet, or there is no connection
 * - `subscribed`: every message arrives
 * - `refused`: the server refuses the channel; asked again with the next connection
 * - `error`: the client has disconnected for good; asked again after `connect()`
 */
export type SubscriptionStatus = 'subscribing' | 'subscribed' | 'refused' | 'error'

export interface SubscribeOptions {
  /** Messages of this channel were missed. */
  onGap?(gap: Gap): unknown
  /** The subscription's status, or the error beside it, has changed. Not called for what it is at first. */
  onStatus?(status: SubscriptionStatus, error: BroadcasterError | null): unknown
  /**
   * The subscription takes the place of one that ended some time ago: `onGap` is called, soon and with reason `expired`,
   * for what was missed between the two.
   *
   * @default false
   */
  wasAway?: boolean
}

/** Call it to end the subscription; once more does nothing. */
export interface Subscription {
  (): void
  readonly channel: string
  readonly status: SubscriptionStatus
  /** Why it is `refused` or in `error`, or what the last try of a `subscribing` one met. */
  readonly error: BroadcasterError | null
  /**
   * Resolves when the server has confirmed the subscription: what is published from then on arrives. Rejects
   * when it refuses, when the client gives up connecting, or when the subscription ends before. Need not be handled.
   * After a reconnection it is a new promise, for the new answer.
   */
  readonly ready: Promise<void>
}

/** The connection at one moment. The same object until something in it changes. */
export interface Snapshot {
  readonly status: Status
  /** The transport in use; `null` while not connected. */
  readonly transport: TransportName | null
  /** Why the connection is not there; `null` when it is, or when nothing went wrong. */
  readonly error: BroadcasterError | null
  /** Which reconnection attempt in a row is waiting or on its way; 0 when none is. */
  readonly attempt: number
  /** When the next attempt is due, as `Date.now()` counts; `null` when none is waiting. */
  readonly retryAt: number | null
}

/** Sent for every change of the {@link Snapshot}; `from` and `to` are equal when the status stays. */
export interface StatusChange {
  readonly from: Status
  readonly to: Status
  /** In words, for logs. */
  readonly reason: string
  readonly transport: TransportName | null
  readonly error?: BroadcasterError
  /** Which reconnection attempt in a row is waiting or on its way. */
  readonly attempt?: number
  /** Milliseconds until the next attempt. */
  readonly retryInMs?: number
}

/** The client has disconnected, and stays so until `connect()`. */
export interface Disconnected {
  readonly reason: string
  /** `null` after `disconnect()`. */
  readonly error: BroadcasterError | null
}

/** The events of a client, each with the arguments of its listeners. */
export interface Events {
  /** Every message of a subscribed channel. Listening subscribes to nothing. */
  message: [channel: string, body: string, message: Message]
  /** The same, of one channel. */
  [oneChannel: `message:${string}`]: [body: string, message: Message]
  status: [change: StatusChange]
  /** A handler or the `auth` function threw or rejected, or the server failed at something nobody waits for. */
  error: [error: BroadcasterError]
  gap: [gap: Gap]
  disconnected: [event: Disconnected]
}
