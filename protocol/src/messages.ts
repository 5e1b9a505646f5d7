/**
 * The version of the optional additions to the original protocol. A client that knows them sends `__v` in its `auth`. A
 * server that has them turned on sends `__v` in its `authOk`. If one of them does not, all messages are exactly those of
 * the original protocol (PROTOCOL.md, "Versions").
 */
export const PROTOCOL_VERSION = 2

/** The version that two sides speak with each other, one of which knows version `v`. 0: only the original protocol. */
export function commonVersion(v: unknown): number {
  return typeof v === 'number' && v >= 1 ? Math.min(Math.floor(v), PROTOCOL_VERSION) : 0
}

/**
 * A position in the log of a channel, made by the server. It is opaque: a client keeps the newest position of each channel
 * and sends it back. It never parses a position and never compares two.
 */
export type Position = string

/** Why a client missed messages of a channel. */
export type GapReason =
  /** The position is older than the recovery window. */
  | 'expired'
  /** There were too many messages or bytes for the log of the channel, or the client read too slowly. */
  | 'overflow'
  /** The connection to Redis was broken, and no node received what was published in that time. */
  | 'broker'
  /** The node that had the channel is gone, and no other node had it. */
  | 'node'

/** One message of a replay: its body and its position. */
export type ReplayedMessage = readonly [body: string, position: Position]

/**
 * Why a WebSocket failed: the close code, or `error` if it could not be made at all. `timeout`: it did not open. `silence`: it
 * opened, but no frame arrived.
 */
export type Fallback = number | 'error' | 'timeout' | 'silence'

export type Auth = {
  readonly __type: 'auth'
  /** The version of the additions that the client knows. */
  readonly __v?: number
  /** A random name that never changes for this client. A newer connection with the name ends the older one. */
  readonly __client?: string
  /** The number of this connection among those of the client: 1, 2, 3, ... */
  readonly __generation?: number
  /** The token of the long-poll session that this connection replaces. The server ends that session. */
  readonly __previous?: string | undefined
  /** The `__node` of the WebSocket that this connection replaces, if that one was authenticated (version 2). */
  readonly __node?: string | undefined
  /** Over long-poll: why the WebSocket failed that the client has tried before. */
  readonly __fallback?: Fallback | undefined
  /** All other keys belong to the application. */
  readonly [key: string]: unknown
}

export type Subscribe = {
  readonly __type: 'subscribe'
  readonly channel: string
  /** Continue after this position. */
  readonly position?: Position | undefined
  /** The number of older messages that the client asks for (version 2). */
  readonly history?: number | undefined
}

export type Unsubscribe = { readonly __type: 'unsubscribe'; readonly channel: string }

export type Poll = {
  readonly __type: 'poll'
  /** Differs from the previous poll. A poll with the same `seq` asks for the same answer again. */
  readonly seq: string
  /** The position of the last received message of each channel. */
  readonly positions?: Readonly<Record<string, Position>> | undefined
}

export type Ping = { readonly __type: 'ping' }

export type ClientMessage = Auth | Subscribe | Unsubscribe | Poll | Ping

/** On long-poll, every message after `auth` has the token of the session. */
export type WithToken<T> = T & { readonly __token: string }

export type AuthOk = {
  readonly __type: 'authOk'
  readonly __token?: string
  readonly __v?: number
  /** The id of the node, on a WebSocket (version 2). */
  readonly __node?: string
}

export type AuthError = { readonly __type: 'authError'; readonly reason: string }

export type SubscribeOk = {
  readonly __type: 'subscribeOk'
  readonly channel: string
  /** The position of the channel after `messages`. */
  readonly position?: Position
  /** Whether `messages` has everything since the position in `subscribe`. Only present if `subscribe` had a position. */
  readonly recovered?: boolean
  /** Why `recovered` is false. */
  readonly reason?: GapReason
  readonly messages?: readonly ReplayedMessage[]
  /** The newest messages up to the position in `subscribe`, or up to `position`. Only present if `subscribe` asked for them. */
  readonly history?: readonly ReplayedMessage[]
}

export type SubscribeError = {
  readonly __type: 'subscribeError'
  readonly channel: string
  readonly reason: string
}

export type UnsubscribeOk = { readonly __type: 'unsubscribeOk'; readonly channel: string }

export type UnsubscribeError = {
  readonly __type: 'unsubscribeError'
  readonly channel: string
  readonly reason: string
}

export type Message = {
  readonly __type: 'message'
  readonly channel: string
  readonly body: string
  readonly position?: Position
}

/** Messages of the channel were missed. It continues after `position`. */
export type Gap = {
  readonly __type: 'gap'
  readonly channel: string
  readonly position: Position
  readonly reason: GapReason
}

/** The server ended the subscription. No more messages of the channel arrive. */
export type Unsubscribed = {
  readonly __type: 'unsubscribed'
  readonly channel: string
  readonly reason: string
}

export type Pong = { readonly __type: 'pong' }

export type Unknown = { readonly __type: 'unknown' }

/** The server could not execute the request now. The same request may succeed later. */
export type ServerError = {
  readonly __type: 'serverError'
  /** The channel of the request, if it had one. */
  readonly channel?: string
  readonly reason: string
}

export type ServerMessage =
  | AuthOk
  | AuthError
  | SubscribeOk
  | SubscribeError
  | UnsubscribeOk
  | UnsubscribeError
  | Message
  | Gap
  | Unsubscribed
  | Pong
  | Unknown
  | ServerError

/** The exact reasons that the server sends in `authError` and `subscribeError`. */
export const reasons = {
  authExpected: 'Auth expected',
  unauthorized: 'Unauthorized',
  authTooLarge: 'Auth too large',
  credentialsExpired: 'Credentials have expired',
  channelRefused: 'Channel refused',
  channelExpected: 'Channel expected',
  channelTooLong: 'Channel name too long',
  channelMalformed: 'Channel name malformed',
  tooManyChannels: 'Too many channels',
  namesTooLong: 'Channel names too long together',
  tooManyNewChannels: 'Too many new channels',
  overtaken: 'Unsubscribed meanwhile',
  nodeFull: 'Node has too many channels',
  brokerUnavailable: 'Broker unavailable',
  serverError: 'Server error',
  nodeUnavailable: 'Node is full or draining',
  tooManyRequests: 'Too many requests',
  pollRepeated: 'The poll was sent again',
  messagesMissed: 'Messages were missed',
  unsubscribedByServer: 'Unsubscribed by the server',
} as const
