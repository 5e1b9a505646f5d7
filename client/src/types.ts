import type { AnyChannelMap, KeyFor, NamesOf, Parsed, SchemaError } from '@broadcaster/channels'
import type { GapReason, Ping, Position, ServerMessage, Subscribe, Unsubscribe } from '@broadcaster/protocol'
import type { BroadcasterError } from './errors.ts'
import type { ShareTabs } from './shareTabs.ts'

/**
 * Declare your channels here once. With a map of `defineChannels()`, which is also the option `channels`, bodies are parsed
 * and typed:
 *
 * ```ts
 * declare module '@broadcaster/client' {
 *   interface Channels extends ChannelsOf<typeof channels> {}
 * }
 * ```
 *
 * Without a map, declare the types of the bodies after `JSON.parse`:
 *
 * ```ts
 * declare module '@broadcaster/client' {
 *   interface Channels { orders: Order; [room: `room:${string}`]: RoomMessage }
 * }
 * ```
 *
 * Then the client passes the body as the published string, and uses only the names, for completion in editors.
 * `@broadcaster/react` checks bodies with a `schema`, and takes their types from this declaration.
 */
export interface Channels {}

/** The keys of {@link Channels} that come from a map. */
type MapKey = {
  [Key in keyof Channels]: unknown extends Channels[Key]
    ? never
    : Channels[Key] extends Parsed<unknown>
      ? Key
      : never
}[keyof Channels]

/** Any string. Editors suggest the names that are declared in {@link Channels}. */
export type ChannelName = (Exclude<keyof Channels, MapKey> & string) | NamesOf<MapKey> | (string & {})

/**
 * What a handler of the channel gets: the output of the channel's schema in the map, if {@link Channels} declares one, and
 * `never` if the map does not have the channel. Without a map it is the published string.
 */
export type ChannelBody<Name extends string> = [MapKey] extends [never]
  ? string
  : BodyAt<KeyFor<MapKey, Name>>

type BodyAt<Key> = Key extends keyof Channels
  ? Channels[Key] extends Parsed<infer Body>
    ? Body
    : never
  : never

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
   * The channels of the application, from `defineChannels()` of `@broadcaster/channels`. Handlers get each body parsed by the
   * schema of its channel. All handlers of a channel get the same value, so they should not change it. A body that does
   * not fit goes to `onError` of the subscription. A channel that the map does not have is refused without asking the
   * server. The events `message` and `message:NAME` have the published string.
   *
   * @default bodies are the published strings, of any channel
   */
  channels?: AnyChannelMap
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
  /**
   * `shareTabs()`: all tabs of the same user and URL use one connection. It is a function, not `true`, so that only bundles that use
   * it have its code. If a cookie decides who the user is, it needs a `key`.
   *
   * @default false
   */
  shareTabs?: ShareTabs | false
}

/** One message of a channel. */
export interface Message<Body = string> {
  readonly channel: string
  /** The string that was published. (In `messages()` of a client with `channels`, it is the parsed body.) */
  readonly body: Body
  /** The position of the message in the channel. Opaque. Undefined if the server has no recovery. */
  readonly position?: Position | undefined
  /** Whether the message is from before the subscription, see {@link SubscribeOptions.replay}. */
  readonly isReplayed?: true
}

/** May be async. The next message does not wait for it. If it throws or rejects, the client emits an `error` event. */
export type MessageHandler<Body = string> = (body: Body, message: Message) => unknown

/** Messages of a channel were missed, or may have been missed. Fetch again what you show of the channel. */
export interface Gap {
  readonly channel: string
  readonly reason: GapReason
  /** The position after which the channel continues. Opaque. Undefined if the server has no recovery. */
  readonly position?: Position | undefined
}

/**
 * - `subscribing`: the server has not answered yet, or there is no connection
 * - `subscribed`: every message arrives
 * - `refused`: the server refuses the channel, or the option `channels` does not have it. The next connection asks again.
 * - `error`: the client has disconnected and does not reconnect. After `connect()` it asks again.
 */
export type SubscriptionStatus = 'subscribing' | 'subscribed' | 'refused' | 'error'

export interface SubscribeOptions {
  /** Messages of this channel were missed. */
  onGap?(gap: Gap): unknown
  /** The status of the subscription or its error has changed. Not called for the first status. */
  onStatus?(status: SubscriptionStatus, error: BroadcasterError | null): unknown
  /**
   * A message does not fit the schema of its channel in the option `channels`. Without this function, it is an `error` event
   * of the client.
   */
  onError?(error: SchemaError, message: Message): unknown
  /**
   * The subscription replaces one that ended some time ago. `onGap` is called soon, with reason `expired`, for the messages
   * that were missed in between.
   *
   * @default false
   */
  wasAway?: boolean
  /**
   * How many of the newest older messages to receive first, in order, with `isReplayed`. There are as many as the nodes still keep
   * (by default those of the last minute), and none if no node had the channel. A server without the additions of this kit sends
   * none. Without a gap, no message is received twice, and none between them and the live ones is missing.
   *
   * @default 0
   */
  replay?: number
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
  /** A text for logs: the message of the error, or a sentence. In production, `to` in place of a sentence. */
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

/** An attempt to open a transport has failed. With `mode: 'auto'`, the attempt of the other transport may follow. */
export interface AttemptFailed {
  readonly transport: TransportName
  readonly error: BroadcasterError
}

/** A message of the protocol: what the server has sent after the handshake, or a request to it. */
export type WireMessage = ServerMessage | Subscribe | Unsubscribe | Ping

/** What tools for developers, like `@broadcaster/devtools`, see of a client and may do to it, beside its events. */
export interface Inspection {
  readonly settings: {
    readonly url: string
    /** From the next attempt on, the client has the mode that a tool writes here. */
    mode: Mode
  }
  /** The channels that have listeners, or that the server has. */
  readonly channels: ReadonlyMap<string, InspectedChannel>
  /**
   * Ends the connection, or the attempt to connect, as if the network had failed. `reason` is the message of the error. The client
   * reconnects after its usual pause, or at once if `connect()` is called next. `auto` begins with a WebSocket again.
   */
  drop(reason: string): void
}

export interface InspectedChannel {
  readonly listeners: {
    /** How many subscriptions of the application there are. */
    readonly count: number
    readonly status: SubscriptionStatus
    readonly error: BroadcasterError | null
    /** Tells the application of a gap. The client continues at its position, so no message is lost. */
    tellGap(reason: GapReason, position: Position | undefined): void
  }
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
  attemptFailed: [attempt: AttemptFailed]
  /**
   * Each message of the protocol, except `auth` and `poll`, before the client handles it. For tools: on long-poll, a message may come
   * twice here, of which the client ignores one.
   */
  wire: [message: WireMessage]
  disconnected: [event: Disconnected]
}
