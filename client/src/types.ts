import type { GapReason, Position } from '@broadcaster/protocol'
import type { BroadcasterError } from './errors.ts'

/**
 * Declare your channels here once, with the type of their bodies after `JSON.parse`:
 *
 * ```ts
 * declare module '@broadcaster/client' {
 *   interface Channels { orders: Order; [room: `room:${string}`]: RoomMessage }
 * }
 * ```
 *
 * The client uses only the names, for completion in editors. It always passes the body as the published string.
 * `@broadcaster/react` checks bodies with a `schema`, and takes their types from this map.
 */
export interface Channels {}

/** Any string. Editors suggest the names that are declared in {@link Channels}. */
export type ChannelName = (keyof Channels & string) | (string & {})

/**
 * - `idle`: `connect()` was not called yet
 * - `connecting`: the first attempt is in progress
 * - `connected`: authenticated
 * - `reconnecting`: an attempt failed or the connection was lost. The client tries again by itself.
 * - `disconnected`: ended by `disconnect()`, or by a final error (see `error`). Only `connect()` leaves this state.
 */
export type Status = 'idle' | 'connecting' | 'connected' | 'reconnecting' | 'disconnected'

export type TransportName = 'websocket' | 'longpoll'

/** `auto` tries WebSocket, falls back to long-poll, and returns to WebSocket when that works. */
export type Mode = 'auto' | TransportName

/** The data that `canConnect` on the server gets. Keys that begin with `__` are reserved and not sent. */
export type AuthData = Readonly<Record<string, unknown>>

/**
 * What this package uses of a WebSocket implementation. Browsers and `ws` have this interface. Their types of events
 * differ, so the type here is `any`.
 */
export interface WebSocketLike {
  onopen: ((event: any) => void) | null
  /** `data` is the text of the frame. */
  onmessage: ((event: any) => void) | null
  onerror: ((event: any) => void) | null
  /** The event has `code` and `reason`. */
  onclose: ((event: any) => void) | null
  send(data: string): void
  close(code?: number, reason?: string): void
}

export type WebSocketConstructor = new (
  url: string,
  protocols?: string[],
  options?: { headers: Record<string, string> },
) => WebSocketLike

/** What this package uses of a `fetch` implementation. */
export type FetchLike = (
  url: string,
  init: { method: string; headers: Record<string, string>; body: string; signal: AbortSignal },
) => Promise<{
  readonly status: number
  /** Used to read `Retry-After`. */
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
   * Credentials for `canConnect` on the server: an object or a function. The function may be async. It is called for every
   * connection attempt, so it can renew an expired token. If it throws or rejects, the attempt has failed: the client emits
   * an `error` event with code `authFunction` and tries again.
   *
   * @default {}
   */
  auth?: AuthData | (() => AuthData | Promise<AuthData>)
  /**
   * Time limit in milliseconds for a connection attempt and for the answer to a request. It should not be less than the
   * `timeout` of the server: a poll without an answer is repeated this time plus ten seconds after it was sent.
   *
   * @default 30000
   */
  timeout?: number
  /**
   * Milliseconds between pings on a WebSocket. If the server does not answer a ping within this time, or within ten seconds
   * if that is less, the connection counts as dead and the client reconnects. (A server without the additions of this kit
   * to the protocol answers no pings. There, a dead connection is noticed only when the network reports it.)
   *
   * @default 30000
   */
  pingInterval?: number
  /**
   * How many attempts in a row to reconnect before the client gives up with code `maxAttempts`. 0: it never tries again.
   *
   * @default Infinity
   */
  maxAttempts?: number
  /**
   * Extra request headers, for Node. They are sent with every long-poll request, and passed to the constructor of the
   * `WebSocket` option in the form that `ws` takes. Browsers can't send headers with a WebSocket: use `auth` there.
   *
   * @default {}
   */
  headers?: Record<string, string>
  /**
   * The WebSocket implementation, for a platform that has none (Node 20: `import WebSocket from 'ws'`). Without an
   * implementation, `auto` uses long-poll only.
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
  /** The string that was published. */
  readonly body: string
  /** The position of the message in the channel. Opaque. Missing if the server has no recovery. */
  readonly position?: Position
}

/** May be async. The next message does not wait for it. If it throws or rejects, the client emits an `error` event. */
export type MessageHandler = (body: string, message: Message) => unknown

/** Messages of a channel were missed, or may have been missed. Fetch again what you show of the channel. */
export interface Gap {
  readonly channel: string
  readonly reason: GapReason
  /** The position after which the channel continues. Opaque. Missing if the server has no recovery. */
  readonly position?: Position
}

/**
 * - `subscribing`: the server has not answered yet, or there is no connection
 * - `subscribed`: every message arrives
 * - `refused`: the server refuses the channel. The next connection asks again.
 * - `error`: the client has disconnected and does not reconnect. After `connect()` it asks again.
 */
export type SubscriptionStatus = 'subscribing' | 'subscribed' | 'refused' | 'error'

export interface SubscribeOptions {
  /** Messages of this channel were missed. */
  onGap?(gap: Gap): unknown
  /** The status of the subscription or its error has changed. Not called for the first status. */
  onStatus?(status: SubscriptionStatus, error: BroadcasterError | null): unknown
  /**
   * The subscription replaces one that ended some time ago. `onGap` is called soon, with reason `expired`, for the messages
   * that were missed in between.
   *
   * @default false
   */
  wasAway?: boolean
}

/** Call it to end the subscription. A second call does nothing. */
export interface Subscription {
  (): void
  readonly channel: string
  readonly status: SubscriptionStatus
  /** Why the status is `refused` or `error`. In `subscribing`: the error of the last attempt. */
  readonly error: BroadcasterError | null
  /**
   * Resolves when the server has confirmed the subscription. Messages that are published after that arrive. Rejects when
   * the server refuses the channel, when the client gives up, or when the subscription ends before. You need not handle a
   * rejection. After a reconnection it is a new promise, for the new answer.
   */
  readonly ready: Promise<void>
}

/** The state of the connection. It is the same object until the state changes. */
export interface Snapshot {
  readonly status: Status
  /** The transport in use. `null` while not connected. */
  readonly transport: TransportName | null
  /** Why there is no connection. `null` when there is a connection, or when no error occurred. */
  readonly error: BroadcasterError | null
  /** The number of the reconnection attempt that waits or is in progress. 0 if there is none. */
  readonly attempt: number
  /** The time of the next attempt, as a `Date.now()` time. `null` if no attempt waits. */
  readonly retryAt: number | null
}

/** Emitted for every change of the {@link Snapshot}. `from` and `to` are equal if the status did not change. */
export interface StatusChange {
  readonly from: Status
  readonly to: Status
  /** A text for logs. */
  readonly reason: string
  readonly transport: TransportName | null
  readonly error?: BroadcasterError
  /** The number of the reconnection attempt that waits or is in progress. */
  readonly attempt?: number
  /** Milliseconds until the next attempt. */
  readonly retryInMs?: number
}

/** The client has disconnected. It does not reconnect before `connect()`. */
export interface Disconnected {
  readonly reason: string
  /** `null` after `disconnect()`. */
  readonly error: BroadcasterError | null
}

/** The events of a client, each with the arguments of its listeners. */
export interface Events {
  /** Every message of a subscribed channel. A listener does not subscribe to anything. */
  message: [channel: string, body: string, message: Message]
  /** Every message of one channel. */
  [oneChannel: `message:${string}`]: [body: string, message: Message]
  status: [change: StatusChange]
  /** A handler or the `auth` function threw or rejected, or the server reported an error that belongs to no call. */
  error: [error: BroadcasterError]
  gap: [gap: Gap]
  disconnected: [event: Disconnected]
}
