import { amounts } from './input/optionChecks.ts'

export interface Limits {
  /**
   * The maximum size of a frame or request body from a client, in bytes. Beyond: close 1009, or HTTP 413. A poll names
   * the channels of its client, and may be as large as that requires.
   *
   * @default 64 KiB
   */
  messageBytes: number
  /**
   * The maximum size of `auth`, in bytes. Beyond: refused.
   *
   * @default 16 KiB
   */
  authBytes: number
  /**
   * The maximum length of a channel name, in bytes of UTF-8. Beyond: `subscribeError`.
   *
   * @default 512
   */
  channelBytes: number
  /**
   * The maximum number of channels of one client. Beyond: `subscribeError`.
   *
   * @default 1_000
   */
  channelsPerConnection: number
  /**
   * The maximum size of a published body, in bytes of UTF-8. Beyond: clients do not receive the message, but a gap;
   * `publish()` rejects. The server logs a warning, at most once a minute. Independently of this limit, Redis closes
   * the connection of a subscriber for which more than 32 MiB wait.
   *
   * @default 1 MiB
   */
  publishedBytes: number
  /**
   * The maximum number of bytes of the names of one client's channels together, in UTF-8. Beyond: `subscribeError`.
   *
   * @default 64 KiB
   */
  channelNamesBytes: number
  /**
   * The maximum rate at which one client may subscribe to channels that this node does not have yet, after
   * `channelsPerConnection` at once. Beyond: the answers are delayed. A request that would wait for more than 5 seconds is
   * answered with `serverError`.
   *
   * @default 100
   */
  newChannelsPerSecond: number
  /**
   * The maximum number of channels of this node. Beyond: channels without subscribers are removed early. If there are none, a
   * client that subscribes to a new channel gets `subscribeError`.
   *
   * @default 100_000
   */
  channels: number
  /**
   * The maximum number of bytes of a channel that are kept, beyond the limits of `recovery`, for long-poll clients that
   * have not received them yet. Beyond: a gap. Clients of the original continue with the messages that are left.
   *
   * @default 16 MiB
   */
  undeliveredBytes: number
  /**
   * The maximum number of bytes of messages in one answer to a poll, or in one replay over long-poll, unless a single
   * message is larger. Beyond: the rest is sent with the next poll.
   *
   * @default 1 MiB
   */
  answerBytes: number
  /**
   * How long a long-poll answer may wait while no byte of it is read, in ms. Beyond: the connection is closed. Until
   * then it counts as one of `connections`.
   *
   * @default 60_000
   */
  answerTimeout: number
  /**
   * The maximum number of bytes of unread long-poll answers on this node. Beyond: the connection with the oldest unread
   * answer is closed. The limit for one session is `bufferedBytes`, unless a single answer is larger.
   *
   * @default 256 MiB
   */
  unreadBytes: number
  /**
   * The maximum number of bytes of logs that are in flight between this node and other nodes, when clients come back to a node
   * that must request the missed messages from another one. It applies to what this node requests, and to what it
   * answers. A single client may use 256 KiB of it, at most a half, unless a single message is larger. Beyond: requests wait, and
   * clients take turns.
   *
   * @default 4 MiB
   */
  backfillBytes: number
  /**
   * The maximum number of WebSocket connections, waiting polls and unread long-poll answers on this node. It includes
   * connections that have not authenticated, and closed connections whose socket is not gone yet. It is also the maximum
   * number of long-poll sessions on all nodes together. Beyond: HTTP 503.
   *
   * @default 50_000
   */
  connections: number
  /**
   * The maximum number of WebSocket connections and long-poll sessions of one address on this node. An IPv6 address
   * counts by its first 64 bits. Beyond: HTTP 429. With `Infinity`, requests without a session have no limit either.
   *
   * @default 1_000
   */
  connectionsPerAddress: number
  /**
   * The maximum number of WebSockets that have not authenticated. It includes closed ones whose socket is not gone yet.
   * Beyond: a new WebSocket replaces the oldest one that has sent no `auth` for a second; if there is none, HTTP 503.
   *
   * @default a tenth of `connections`, and at least 100
   */
  unauthenticated: number
  /**
   * The maximum number of frames of a WebSocket connection, or of requests of a long-poll session on this node, per
   * second. The burst is twice `channelsPerConnection`, so that a client can subscribe to all its channels at once.
   * Beyond: close 4429, or HTTP 429 with `Retry-After`. The client reconnects by itself, and continues from its
   * positions. The same rate applies to all handshakes and requests without a session of one address, with a burst of
   * twice `connectionsPerAddress`.
   *
   * @default 50
   */
  requestsPerSecond: number
  /**
   * How long a WebSocket may stay open without `auth`, in ms. Beyond: close 4408.
   *
   * @default 10_000
   */
  authTimeout: number
  /**
   * The maximum number of bytes that wait for one slow reader: messages, also replayed ones, and answers to its
   * requests. Beyond: messages are served from the log, and further requests are read, when the client has caught up.
   *
   * @default 1 MiB
   */
  bufferedBytes: number
  /**
   * The maximum number of bytes that wait for all WebSockets of this node together: messages, answers and requests.
   * Beyond: `bufferedBytes` is lowered until the total is within the limit, so the connections with the most waiting
   * bytes are served from the logs first. A connection whose requests exceed the lowered limit is closed with 1013, and
   * reconnects. It is also the limit for the bodies of long-poll requests that are being received, together. Beyond:
   * HTTP 503.
   *
   * @default 256 MiB
   */
  totalBufferedBytes: number
  /**
   * The maximum number of older messages that a client gets when it subscribes with `replay`. They are also limited by what
   * the nodes keep (`recovery`), by `bufferedBytes`, and by `answerBytes` over long-poll. 0: no client gets any.
   *
   * @default 1_000
   */
  historyMessages: number
  /**
   * How long a slow reader may read nothing at all, in ms. Beyond: close 1013; the client reconnects and continues from
   * its positions.
   *
   * @default 60_000
   */
  laggingTimeout: number
}

export const defaultLimits: Limits = {
  messageBytes: 64 * 1024,
  authBytes: 16 * 1024,
  channelBytes: 512,
  channelsPerConnection: 1_000,
  publishedBytes: 1024 * 1024,
  channelNamesBytes: 64 * 1024,
  newChannelsPerSecond: 100,
  channels: 100_000,
  undeliveredBytes: 16 * 1024 * 1024,
  answerBytes: 1024 * 1024,
  answerTimeout: 60_000,
  unreadBytes: 256 * 1024 * 1024,
  backfillBytes: 4 * 1024 * 1024,
  connections: 50_000,
  connectionsPerAddress: 1_000,
  unauthenticated: 5_000,
  requestsPerSecond: 50,
  authTimeout: 10_000,
  bufferedBytes: 1024 * 1024,
  totalBufferedBytes: 256 * 1024 * 1024,
  historyMessages: 1_000,
  laggingTimeout: 60_000,
}

/** @throws {BroadcasterError} `invalidOption` */
export function readLimits(given: unknown): Limits {
  const limits = amounts('limits', defaultLimits, given)
  const isGiven = (given as Partial<Limits> | undefined)?.unauthenticated !== undefined
  return isGiven ? limits : { ...limits, unauthenticated: Math.max(100, Math.ceil(limits.connections / 10)) }
}
