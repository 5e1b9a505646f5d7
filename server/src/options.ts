import type { AnyChannelMap, ChannelParamsOf, Schemas } from '@broadcaster/channels'
import type { Request } from 'express'
/** @ts-ignore ioredis is an optional peer dependency: without it, its types are `any`, and `redis: false` compiles. */
import type { Cluster, ClusterNode, ClusterOptions, Redis, RedisOptions } from 'ioredis'
import type { ConnectAnswer } from './clients/access.ts'
import type { RefusalLevel } from './clients/refusals.ts'
import { controlChannelFor } from './backends/controlChannel.ts'
import { readLimits, type Limits } from './limits.ts'
import { consoleLogger, type EventLogger, type Logger } from './logger.ts'
import {
  amounts,
  callback,
  checkChannels,
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

/** A Redis Cluster: some of its nodes, as for `new Cluster(nodes, options)` of ioredis, and the options. */
export type ClusterTarget = ClusterOptions & { readonly cluster: readonly ClusterNode[] }

/**
 * The Redis server: a URL, ioredis options, or an ioredis instance. The settings of an instance are used for our own
 * connections. A Redis Cluster: `{ cluster: [nodes], ...options }`, or an instance of `Cluster`.
 */
export type RedisTarget = string | RedisOptions | ClusterTarget | Redis | Cluster

export type Context = Record<string, unknown>

/** Options of {@link broadcaster}. All durations are whole milliseconds. */
export interface BroadcasterOptions<C extends object = Context, S extends Schemas = Schemas> {
  /**
   * May this client connect? `false` refuses the client. `true` accepts it. An object accepts it and is stored as the
   * client's context. {@link accept} does the same until a time. The context is converted to JSON, because a long-poll session is stored in Redis: a Date becomes
   * text, `undefined` is omitted, a Map becomes empty. The client is also refused, and the error is logged, if the
   * callback throws or rejects, if JSON cannot represent the context (a BigInt, a circular reference), or if it is
   * nested more than 1,000 levels deep. `auth` is what the client sent, without the reserved keys that begin with `__`.
   * `req` is the Express request, after the application's own middleware, on both transports.
   *
   * @default everyone
   */
  canConnect?: (auth: Record<string, unknown>, req: Request) => ConnectAnswer<C> | Promise<ConnectAnswer<C>>
  /**
   * May this client subscribe to this channel? It is called at every subscribe, also when a client comes back.
   * `context` is a copy of the context that `canConnect` returned, as JSON. If the callback throws or rejects, the
   * channel is refused and the error is logged. With the option `channels`, `params` are those of the channel's name:
   * `{ id: '42' }` for the channel `room:42` of the key `room:{id}`. A param that the channel does not have is
   * `undefined`.
   *
   * @default every channel
   */
  canSubscribe?: (
    auth: Record<string, unknown>,
    channel: string,
    context: NoInfer<C>,
    params: ChannelParamsOf<NoInfer<S>>,
  ) => boolean | Promise<boolean>
  /**
   * The channels of the application, from `defineChannels()` of `@broadcaster/channels`. Clients are refused all other
   * channels. `publish` is typed, sends every body as JSON (text too), and rejects a body that does not fit the schema of
   * its channel. Messages that others publish with `PUBLISH` are relayed unchecked; the clients check them.
   *
   * @default any channel, with any body
   */
  channels?: (AnyChannelMap & { readonly schemas: S }) | undefined
  /**
   * The browser origins that may connect, on both transports. It is a list such as
   * `['https://app.example', /^https:\/\/[\w-]+\.app\.example$/]`, or a sync or async function that is called for every
   * request. It also enables CORS for long-poll. A RegExp is matched against the origin as the browser sends it: begin
   * it with `^` and end it with `$`. With a list, requests without an `Origin` header are allowed, because they do not
   * come from a browser. A refused origin is logged, with what would allow it.
   *
   * @default the same origin only
   */
  checkOrigin?: readonly (string | RegExp)[] | ((req: Request) => boolean | Promise<boolean>) | undefined
  /**
   * The address under which `limits.connectionsPerAddress` counts the client, for example
   * `(req) => req.get('cf-connecting-ip') ?? null`. With `null` the client is not counted, and its requests have no limit
   * until it has authenticated. If the function throws or returns anything else, this is logged once, and `req.ip` is
   * used. An IPv6 address counts by its first 64 bits.
   *
   * @default `req.ip`, which follows Express' `trust proxy`
   */
  addressOf?: ((req: Request) => string | null) | undefined
  /**
   * The Redis server; `false` for one process without Redis.
   *
   * @default 'redis://localhost:6379'
   */
  redis?: RedisTarget | false | undefined
  /**
   * The Redis server for pub/sub only, if it is another one. `redis` must be set too.
   *
   * @default the value of `redis`
   */
  pubSub?: RedisTarget | undefined
  /**
   * The channel over which the nodes of one application coordinate. Clients can never subscribe to it. Applications
   * that share a Redis need different control channels. The default is different if they differ in `controlNamespace`
   * or database.
   *
   * @default 'broadcaster'; with another namespace or database than the default, a name that contains both
   */
  controlChannel?: string | undefined
  /**
   * The prefix of every key that this kit writes, and of the nodes' own channels. Clients cannot subscribe to a channel
   * that begins with it.
   *
   * @default 'bc:'
   */
  controlNamespace?: string | undefined
  /**
   * Signs the messages that nodes send to each other through Redis. Others who can publish there can then not send
   * messages as a node: they cannot disconnect clients, or forge messages that clients missed. It must be the same on
   * all nodes of an application, and have 16 characters or more. In a list, the first secret signs, and every secret is
   * accepted. To replace a secret: add the new one behind the old one on all nodes, then move it to the front, then
   * remove the old one. Messages on the application's own channels are not signed. See `docs/security.md`.
   *
   * @default none: everybody who can publish on the control channel is trusted
   */
  secret?: string | readonly string[] | undefined
  /**
   * The maximum time that a long-poll waits, and the life of an idle session.
   *
   * @default 30_000
   */
  timeout?: number | undefined
  /**
   * The shortest time between two answers with messages to a long-poll client, in ms. A lone message waits only until
   * this time has passed since the last answer, so at one message a second it does not wait. Messages that come in quick
   * succession are gathered for this time. A longer time means fewer requests, and more latency of such messages. 0
   * answers every message at once.
   *
   * Clients of the original keep its timing: every message waits for this time.
   *
   * @default 500
   */
  pollTime?: number | undefined
  /**
   * How much of each channel is kept for clients that come back. `false` disables recovery, and the wire protocol is
   * that of the original.
   */
  recovery?: Partial<RecoveryOptions> | false | undefined
  /** The maximum that clients may use. `Infinity` disables a limit. */
  limits?: Partial<Limits> | undefined
  /**
   * Options of the WebSocket server of `ws`: `perMessageDeflate` and `handleProtocols`. Its other options have other
   * names here: `maxPayload` is `limits.messageBytes`. With `perMessageDeflate`, a message above its `threshold` (1,024
   * bytes) is compressed once for all recipients, without context takeover.
   */
  webSocket?: WebSocketOptions | undefined
  /**
   * A logger with the signature of pino.
   *
   * @default warnings and errors to `console`
   */
  logger?: Logger | undefined
  /**
   * The level at which refusals are logged: a refused origin, authentication, channel or frame, or an exceeded limit.
   * The lines have the fields `kind`, `reason`, `address` and, if there is one, `channel` or `origin`. They never
   * contain auth data or tokens. At most 10 lines of a kind are logged in a minute, then one line with the number of
   * refusals that were not logged. `stats().node.refusals` counts all of them.
   *
   * @default 'warn' for origins, 'info' for everything else
   */
  refusalLevel?: RefusalLevel | undefined
}

export interface RecoveryOptions {
  /**
   * How long a message is kept for clients that come back, in ms. With `Infinity` it is kept until its space is needed.
   *
   * @default 30_000
   */
  window: number
  /**
   * The maximum number of messages that are kept per channel.
   *
   * @default 1_000
   */
  maxMessages: number
  /**
   * The maximum number of bytes that are kept per channel.
   *
   * @default 1 MiB
   */
  maxBytes: number
  /**
   * The maximum number of bytes that are kept for all channels together. Beyond: the oldest messages are removed before
   * their time.
   *
   * @default 256 MiB
   */
  maxTotalBytes: number
  /**
   * The number of nodes that hold each channel with clients, from 1 to 8, while there are so many nodes. With 2, a node that is
   * killed takes no messages with it: a channel that has been held for two seconds has no gap. Each further copy costs Redis
   * one more delivery of each message, and a node the memory of the log. A channel that is held for another node counts for
   * `limits.channels`; a node that has nine tenths of them refuses, and another one is asked. It has no effect with
   * `redis: false`, where there is one node.
   *
   * @default 1
   */
  copies: number
}

export const defaultRecovery: RecoveryOptions = {
  window: 30_000,
  maxMessages: 1_000,
  maxBytes: 1024 * 1024,
  maxTotalBytes: 256 * 1024 * 1024,
  copies: 1,
}

/** With more copies, each message would go to nearly all nodes of most clusters. */
const MOST_COPIES = 8

/** The options with every default filled in. */
export interface ResolvedOptions {
  readonly canConnect: (auth: Record<string, unknown>, req: Request) => unknown
  readonly canSubscribe: (
    auth: Record<string, unknown>,
    channel: string,
    context: unknown,
    params: Readonly<Record<string, string>>,
  ) => unknown
  readonly channels: AnyChannelMap | undefined
  readonly checkOrigin: AllowedOrigins | ((req: Request) => unknown) | undefined
  readonly addressOf: ((req: Request) => unknown) | undefined
  readonly redis: RedisTarget | false
  readonly pubSub: RedisTarget | undefined
  readonly controlChannel: string
  readonly controlNamespace: string
  /** Empty if messages are not signed. */
  readonly secrets: readonly string[]
  readonly timeout: number
  readonly pollTime: number
  readonly recovery: RecoveryOptions | false
  readonly limits: Limits
  readonly webSocket: WebSocketOptions
  readonly logger: EventLogger
  readonly refusalLevel: RefusalLevel | undefined
}

const DEFAULT_REDIS = 'redis://localhost:6379'

const KNOWN = new Set<string>([
  'canConnect',
  'canSubscribe',
  'channels',
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

/** @throws {BroadcasterError} `invalidOption`, with the expected and the actual value */
export function resolveOptions<C extends object, S extends Schemas>(
  options: BroadcasterOptions<C, S>,
): ResolvedOptions {
  checkKeys(options, KNOWN)
  const { channels, recovery, redis, pubSub, checkOrigin } = options
  if (pubSub !== undefined && redis === false)
    throw invalid('pubSub', 'undefined where redis is false', pubSub)
  if (redis !== undefined && redis !== false) checkRedis('redis', redis)
  if (pubSub !== undefined) checkRedis('pubSub', pubSub)
  if (channels !== undefined) checkChannels(channels)
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
    channels,
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
    recovery: recovery === false ? false : readRecovery(recovery),
    limits,
    webSocket: options.webSocket ?? {},
    logger: options.logger ?? consoleLogger,
    refusalLevel: level('refusalLevel', options.refusalLevel),
  }
}

function readRecovery(given: unknown): RecoveryOptions {
  const { copies = 1 } = (given ?? {}) as Partial<RecoveryOptions>
  if (!Number.isInteger(copies) || copies < 1 || copies > MOST_COPIES)
    throw invalid('recovery.copies', `a whole number from 1 to ${MOST_COPIES}`, copies)
  return amounts('recovery', defaultRecovery, given)
}

function defaultControlChannel(
  { redis, pubSub }: Pick<BroadcasterOptions, 'redis' | 'pubSub'>,
  namespace: string,
): string {
  const target = redis || DEFAULT_REDIS
  return controlChannelFor(namespace, target, pubSub ?? target)
}
