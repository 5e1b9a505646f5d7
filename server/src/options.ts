import type { Request } from 'express'
/** @ts-ignore ioredis is an optional peer dependency: without it, its types are `any`, and `redis: false` compiles. */
import type { Cluster, Redis, RedisOptions } from 'ioredis'
import type { ConnectAnswer } from './clients/access.ts'
import type { RefusalLevel } from './clients/refusals.ts'
import { controlChannelFor } from './backends/controlChannel.ts'
import { consoleLogger, type Logger } from './logger.ts'
import {
  amounts,
  callback,
  checkKeys,
  checkLogger,
  duration,
  invalid,
  level,
  name,
  secrets,
} from './input/optionChecks.ts'
import { readOrigins, type AllowedOrigins } from './input/originList.ts'
import { checkRedis } from './input/redisTarget.ts'
import { checkWebSocket, type WebSocketOptions } from './input/webSocketOptions.ts'

/** Where Redis is: a URL, ioredis options, or an ioredis instance, whose settings are taken for our own connections. */
export type RedisTarget = string | RedisOptions | Redis | Cluster

export type Context = Record<string, unknown>

/** Options of {@link broadcaster}. All durations are whole milliseconds. */
export interface BroadcasterOptions<C extends object = Context> {
  /**
   * May this client connect? `false` refuses, `true` accepts, an object accepts and is remembered as the client's
   * context, which is what JSON makes of it, since a long-poll session lives in Redis: a Date is text, what is undefined is
   * left out, a Map is empty. What JSON can't say (a BigInt, a circle), or nests more than 1,000 levels deep, refuses, as does throwing or rejecting, and is logged.
   * `auth` is what the client sent, without the reserved keys that begin with `__`; `req` is the Express request, after
   * the application's own middleware, whatever the transport.
   *
   * @default everyone
   */
  canConnect?: (auth: Record<string, unknown>, req: Request) => ConnectAnswer<C> | Promise<ConnectAnswer<C>>
  /**
   * May this client have this channel? Asked at every subscribe, also when a client comes back. `context` is what JSON has
   * made of what `canConnect` returned, a copy each time. Throwing or rejecting refuses, and is logged.
   *
   * @default every channel
   */
  canSubscribe?: (
    auth: Record<string, unknown>,
    channel: string,
    context: NoInfer<C>,
  ) => boolean | Promise<boolean>
  /**
   * Which browser origins may connect, on both transports: a list such as `['https://app.example', /^https:\/\/[\w-]+\.app\.example$/]`,
   * or a function, sync or async, that is asked of every request. It also opens CORS for long-poll. A RegExp is tried on the
   * origin as the browser sends it: begin it with `^` and end it with `$`. With a list, requests without an `Origin` header come
   * from no browser, and are let in. An origin that is refused is logged, with what would let it in.
   *
   * @default the same origin only
   */
  checkOrigin?: readonly (string | RegExp)[] | ((req: Request) => boolean | Promise<boolean>)
  /**
   * Whose connections `limits.connectionsPerAddress` counts together, for example `(req) => req.get('cf-connecting-ip') ?? null`.
   * `null`: this client is not counted, and its requests have no limit until it has authenticated. Throwing, or answering
   * anything else, is logged once, and `req.ip` counts. Of an IPv6 address, the first 64 bits count.
   *
   * @default `req.ip`, so Express' `trust proxy` counts
   */
  addressOf?: (req: Request) => string | null
  /**
   * Where Redis is; `false` for one process without Redis.
   *
   * @default 'redis://localhost:6379'
   */
  redis?: RedisTarget | false
  /**
   * The same, for pub/sub only, where that is another Redis. Then `redis` has to be given too.
   *
   * @default what `redis` is
   */
  pubSub?: RedisTarget
  /**
   * Channel over which the nodes of one application coordinate. Clients can never subscribe to it. Applications that share
   * a Redis need different ones: what the default sees to, if they differ in `controlNamespace` or database.
   *
   * @default 'broadcaster'; with another namespace or database than the default, one that follows from them
   */
  controlChannel?: string
  /**
   * Prefix of every key this kit writes, and of the nodes' own channels. Clients can't subscribe to anything that begins
   * with it.
   *
   * @default 'bc:'
   */
  controlNamespace?: string
  /**
   * Signs what nodes send to each other through Redis, so that others who can publish there can't speak as a node: cut off
   * clients, or forge what they missed. The same on all nodes of an application, 16 characters or more. Of a list, the first
   * one signs and each is accepted: put a new secret behind the old one everywhere, then in front of it, then remove the
   * old one. What is published on the application's own channels is not signed. See `docs/security.md`.
   *
   * @default none: whoever can publish on the control channel is believed
   */
  secret?: string | readonly string[]
  /**
   * Longest wait of a long-poll, and life of an idle session.
   *
   * @default 30_000
   */
  timeout?: number
  /**
   * After a poll's first message, gather more for this long: fewer requests for more latency. 0 answers at once.
   *
   * @default 500
   */
  pollTime?: number
  /** What is kept of each channel for clients that come back; `false` turns it off, and the wire is the original's. */
  recovery?: Partial<RecoveryOptions> | false
  /** What a client may use at most. `Infinity` lifts a limit. */
  limits?: Partial<Limits>
  /**
   * Options of the WebSocket server of `ws`: `perMessageDeflate` and `handleProtocols`. Its other options have another name
   * here: `maxPayload` is `limits.messageBytes`. With `perMessageDeflate`, messages over its `threshold` (1,024 bytes) are
   * compressed once for all who listen, without context takeover.
   */
  webSocket?: WebSocketOptions
  /**
   * Shaped like pino.
   *
   * @default warnings and errors to `console`
   */
  logger?: Logger
  /**
   * The level at which is logged what clients were refused: an origin, authentication, a channel, a frame, or more than a limit
   * allows. The lines have the fields `kind`, `reason`, `address` and, where there is one, `channel` or `origin`; never auth data
   * or tokens. At most 10 lines of a kind are logged in a minute, then one that says how many were left out.
   * `stats().node.refusals` counts all of them.
   *
   * @default 'warn' for origins, 'info' for everything else
   */
  refusalLevel?: RefusalLevel
}

export interface RecoveryOptions {
  /**
   * How long a message is kept for clients that come back, in ms; with `Infinity`, until there is no room for it.
   *
   * @default 30_000
   */
  window: number
  /**
   * Messages kept per channel.
   *
   * @default 1_000
   */
  maxMessages: number
  /**
   * Bytes kept per channel.
   *
   * @default 1 MiB
   */
  maxBytes: number
  /**
   * Bytes kept of all channels together. Beyond, what is oldest is let go early.
   *
   * @default 256 MiB
   */
  maxTotalBytes: number
}

export interface Limits {
  /**
   * Largest frame or request body from a client, in bytes. Beyond: close 1009, or HTTP 413.
   *
   * @default 256 KiB
   */
  messageBytes: number
  /**
   * Largest `auth`, in bytes. Beyond: refused.
   *
   * @default 16 KiB
   */
  authBytes: number
  /**
   * Longest channel name, in bytes of UTF-8. Beyond: `subscribeError`.
   *
   * @default 512
   */
  channelBytes: number
  /**
   * Channels that one client may have. Beyond: `subscribeError`.
   *
   * @default 1_000
   */
  channelsPerConnection: number
  /**
   * Largest body of a published message, in bytes of UTF-8. Beyond: clients are not given it, but told of a gap; `publish()`
   * rejects. The server warns of it, once a minute at most. Redis closes the connection of a subscriber for whom more than
   * 32 MiB wait, however small this is.
   *
   * @default 1 MiB
   */
  publishedBytes: number
  /**
   * Bytes of a channel that are kept beyond the bounds of `recovery` for long-poll clients that have not been given them
   * yet. Beyond: a gap; the original's clients go on with what there is.
   *
   * @default 16 MiB
   */
  undeliveredBytes: number
  /**
   * Bytes of messages in one answer to a poll, or in one replay over long-poll, unless a single message is larger. Beyond: the
   * rest comes with the next poll.
   *
   * @default 1 MiB
   */
  answerBytes: number
  /**
   * How long a long-poll answer may wait without a byte of it being read, in ms. Beyond: the connection is dropped. Until then
   * it counts as one of `connections`.
   *
   * @default 60_000
   */
  answerTimeout: number
  /**
   * Bytes of long-poll answers on this node that wait to be read. Beyond: the connection whose answer has waited longest is
   * dropped. Of one session no more than `bufferedBytes` may wait, unless a single answer is larger.
   *
   * @default 256 MiB
   */
  unreadBytes: number
  /**
   * Bytes of logs that are in flight between this node and others, when clients come back to a node that has to ask another one for
   * what they missed: of what it asks for, and of what it answers with. Beyond: they wait, and clients have turns.
   *
   * @default 4 MiB
   */
  backfillBytes: number
  /**
   * WebSocket connections, waiting polls and unread long-poll answers on this node, those included that have not authenticated or are closed and not gone
   * yet. Beyond: HTTP 503.
   *
   * @default 50_000
   */
  connections: number
  /**
   * WebSocket connections and long-poll sessions of one address on this node. An IPv6 address is its first 64 bits. Beyond:
   * HTTP 429. With `Infinity`, requests without a session have no limit either.
   *
   * @default 1_000
   */
  connectionsPerAddress: number
  /**
   * WebSockets that have not authenticated, those included that are closed and not gone yet. Beyond: a newcomer takes the place
   * of the oldest one that has sent no `auth` for a second; if there is none, HTTP 503.
   *
   * @default a tenth of `connections`, and at least 100
   */
  unauthenticated: number
  /**
   * Frames of a WebSocket connection, or requests of a long-poll session on this node, in a second. A client may have saved up
   * twice `channelsPerConnection`, to subscribe to all its channels at once. Beyond: close 4429, or HTTP 429 with `Retry-After`.
   * It comes back by itself, from its positions. The same holds for all handshakes, and requests without a session, of one
   * address, which may have saved up twice `connectionsPerAddress`.
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
   * Bytes that may wait for one slow reader: of messages, also of those that it missed before it subscribed, and of answers to
   * what it asks for. Beyond: it is served from the log, and what it asks for is read, when it has caught up.
   *
   * @default 1 MiB
   */
  bufferedBytes: number
  /**
   * Bytes that may wait for all WebSockets of this node together: of messages, answers, and requests. Beyond: `bufferedBytes` is
   * lowered until what waits is within it, so those for whom most waits are served from the logs first; whose requests are more
   * than that is closed with 1013, and comes back.
   *
   * @default 256 MiB
   */
  totalBufferedBytes: number
  /**
   * How long a slow reader may read nothing at all, in ms. Beyond: close 1013; it comes back and continues from its positions.
   *
   * @default 60_000
   */
  laggingTimeout: number
}

export const defaultRecovery: RecoveryOptions = {
  window: 30_000,
  maxMessages: 1_000,
  maxBytes: 1024 * 1024,
  maxTotalBytes: 256 * 1024 * 1024,
}

export const defaultLimits: Limits = {
  messageBytes: 256 * 1024,
  authBytes: 16 * 1024,
  channelBytes: 512,
  channelsPerConnection: 1_000,
  publishedBytes: 1024 * 1024,
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
  laggingTimeout: 60_000,
}

/** Options with every default filled in. */
export interface ResolvedOptions {
  readonly canConnect: (auth: Record<string, unknown>, req: Request) => unknown
  readonly canSubscribe: (auth: Record<string, unknown>, channel: string, context: unknown) => unknown
  readonly checkOrigin: AllowedOrigins | ((req: Request) => unknown) | undefined
  readonly addressOf: ((req: Request) => unknown) | undefined
  readonly redis: RedisTarget | false
  readonly pubSub: RedisTarget | undefined
  readonly controlChannel: string
  readonly controlNamespace: string
  /** Empty where nothing is signed. */
  readonly secrets: readonly string[]
  readonly timeout: number
  readonly pollTime: number
  readonly recovery: RecoveryOptions | false
  readonly limits: Limits
  readonly webSocket: WebSocketOptions
  readonly logger: Logger
  readonly refusalLevel: RefusalLevel | undefined
}

const DEFAULT_REDIS = 'redis://localhost:6379'

const KNOWN = new Set<string>([
  'canConnect',
  'canSubscribe',
  'checkOrigin',
  'addressOf',
  'redis',
  'pubSub',
  'controlChannel',
  'controlNamespace',
  'secret',
  'timeout',
  'pollTime',
  'recovery',
  'limits',
  'webSocket',
  'logger',
  'refusalLevel',
] satisfies (keyof BroadcasterOptions)[])

/** @throws {BroadcasterError} `invalidOption`, with what was expected and what came. */
export function resolveOptions<C extends object>(options: BroadcasterOptions<C>): ResolvedOptions {
  checkKeys(options, KNOWN)
  const { recovery, redis, pubSub, checkOrigin } = options
  if (pubSub !== undefined && redis === false)
    throw invalid('pubSub', 'undefined where redis is false', pubSub)
  if (redis !== undefined && redis !== false) checkRedis('redis', redis)
  if (pubSub !== undefined) checkRedis('pubSub', pubSub)
  if (options.logger !== undefined) checkLogger(options.logger)
  if (options.webSocket !== undefined) checkWebSocket(options.webSocket)
  const timeout = duration('timeout', options.timeout ?? 30_000)
  const pollTime = options.pollTime ?? 500
  if (!Number.isInteger(pollTime) || pollTime < 0 || pollTime >= timeout) {
    throw invalid('pollTime', `whole ms, 0 or more, and less than timeout (${timeout})`, pollTime)
  }
  const controlNamespace = name('controlNamespace', options.controlNamespace ?? 'bc:')
  const limits = readLimits(options.limits)
  for (const name of ['authTimeout', 'answerTimeout'] as const) {
    if (limits[name] !== Infinity) duration(`limits.${name}`, limits[name])
  }
  return {
    canConnect: callback('canConnect', options.canConnect) ?? (() => true),
    canSubscribe:
      (callback('canSubscribe', options.canSubscribe) as ResolvedOptions['canSubscribe']) ?? (() => true),
    checkOrigin: checkOrigin === undefined ? undefined : readOrigins(checkOrigin),
    addressOf: callback('addressOf', options.addressOf),
    redis: redis ?? DEFAULT_REDIS,
    pubSub,
    controlChannel: name(
      'controlChannel',
      options.controlChannel ?? defaultControlChannel(options, controlNamespace),
    ),
    controlNamespace,
    secrets: secrets(options.secret),
    timeout,
    pollTime,
    recovery: recovery === false ? false : amounts('recovery', defaultRecovery, recovery),
    limits,
    webSocket: options.webSocket ?? {},
    logger: options.logger ?? consoleLogger,
    refusalLevel: level('refusalLevel', options.refusalLevel),
  }
}

function readLimits(given: unknown): Limits {
  const limits = amounts('limits', defaultLimits, given)
  const isGiven = (given as Partial<Limits> | undefined)?.unauthenticated !== undefined
  return isGiven ? limits : { ...limits, unauthenticated: Math.max(100, Math.ceil(limits.connections / 10)) }
}

function defaultControlChannel(
  { redis, pubSub }: Pick<BroadcasterOptions, 'redis' | 'pubSub'>,
  namespace: string,
): string {
  const target = redis || DEFAULT_REDIS
  return controlChannelFor(namespace, target, pubSub ?? target)
}
