/**
 * The version of the optional additions to the original's wire. A client that knows them says so in its
 * `auth` (`__v`), a server that has them turned on says so in its `authOk`; unless both did, every message is
 * exactly the original's (PROTOCOL.md, "Versions").
 */
export const PROTOCOL_VERSION = 1

/**
 * A place in a channel's log, made by the server. Opaque: a client keeps the newest one of each channel and
 * hands it back, it never looks inside and never compares two.
 */
export type Position = string

/** Why a client missed messages of a channel. */
export type GapReason =
  /** The position is older than the recovery window. */
  | 'expired'
  /** The channel's log had no room for so many messages or bytes, or the client read too slowly for it. */
  | 'overflow'
  /** The connection to Redis was broken, and no node saw what was published meanwhile. */
  | 'broker'
  /** The node that held the channel is gone, and no other one had it. */
  | 'node'

/** One message of a replay: its body and its position. */
export type ReplayedMessage = readonly [body: string, position: Position]

export type Auth = {
  readonly __type: 'auth'
  /** The version of the additions that the client knows. */
  readonly __v?: number
  /** A random name that the client keeps for its life, so that its newer connection ends its older one. */
  readonly __client?: string
  /** Which connection of this client it is: 1, 2, 3, ... */
  readonly __generation?: number
  /** The token of the long-poll session that this connection follows, which is thereby ended. */
  readonly __previous?: string
  /** Everything else is the application's own. */
  readonly [key: string]: unknown
}

export type Subscribe = {
  readonly __type: 'subscribe'
  readonly channel: string
  /** Continue from here. */
  readonly position?: Position
}

export type Unsubscribe = { readonly __type: 'unsubscribe'; readonly channel: string }

export type Poll = {
  readonly __type: 'poll'
  /** Differs from the poll before; the same again asks for the same answer again. */
  readonly seq: string
  /** What has been received, channel by channel. */
  readonly positions?: Readonly<Record<string, Position>>
}

export type Ping = { readonly __type: 'ping' }

export type ClientMessage = Auth | Subscribe | Unsubscribe | Poll | Ping

/** On long-poll every message after `auth` carries the session's token. */
export type WithToken<T> = T & { readonly __token: string }

export type AuthOk = { readonly __type: 'authOk'; readonly __token?: string; readonly __v?: number }

export type AuthError = { readonly __type: 'authError'; readonly reason: string }

export type SubscribeOk = {
  readonly __type: 'subscribeOk'
  readonly channel: string
  /** Where the channel stands after `messages`. */
  readonly position?: Position
  /** Whether everything since the asked-for position is in `messages`. Only there when one was asked for. */
  readonly recovered?: boolean
  /** Why it was not recovered. */
  readonly reason?: GapReason
  readonly messages?: readonly ReplayedMessage[]
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

/** Messages of the channel were missed; it continues after `position`. */
export type Gap = {
  readonly __type: 'gap'
  readonly channel: string
  readonly position: Position
  readonly reason: GapReason
}

/** The server took the channel away; nothing more of it will come. */
export type Unsubscribed = {
  readonly __type: 'unsubscribed'
  readonly channel: string
  readonly reason: string
}

export type Pong = { readonly __type: 'pong' }

export type Unknown = { readonly __type: 'unknown' }

/** The server could not do what was asked just now; the same request may succeed later. */
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

/** The reasons that the server gives in `authError` and `subscribeError`, word for word. */
export const reasons = {
  authExpected: 'Auth expected',
  unauthorized: 'Unauthorized',
  authTooLarge: 'Auth too large',
  channelRefused: 'Channel refused',
  channelExpected: 'Channel expected',
  channelTooLong: 'Channel name too long',
  channelMalformed: 'Channel name malformed',
  tooManyChannels: 'Too many channels',
  brokerUnavailable: 'Broker unavailable',
  serverError: 'Server error',
  nodeUnavailable: 'Node is full or draining',
  tooManyRequests: 'Too many requests',
  pollRepeated: 'The poll was sent again',
  messagesMissed: 'Messages were missed',
  unsubscribedByServer: 'Unsubscribed by the server',
} as const
