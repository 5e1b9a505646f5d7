import type { ChannelNameOf, InputOf, Schemas } from '@broadcaster/channels'
import express, { type Express, type Request, type RequestHandler } from 'express'
import type { IncomingMessage } from 'node:http'
import type { Backend } from './backends/backend.ts'
import { MemoryBackend } from './backends/memory.ts'
import { RedisBackend } from './backends/redis.ts'
import { plainCodec, type ControlCodec } from './control/codec.ts'
import { SignedCodec } from './control/signing.ts'
import { BodyLimits } from './http/bodyLimits.ts'
import { Routes } from './http/routes.ts'
import { UpgradeGate } from './http/upgrade.ts'
import type { AttachableServer } from './http/upgrades.ts'
import { duration } from './input/optionChecks.ts'
import { NodeMetrics } from './metrics/nodeMetrics.ts'
import { METRICS } from './metrics/reading.ts'
import { Node } from './node/node.ts'
import type { Stats } from './stats.ts'
import { resolveOptions, type BroadcasterOptions, type Context, type ResolvedOptions } from './options.ts'
import { withoutContext } from './websocket/inflate.ts'
import { WebSockets } from './websocket/websocket.ts'

/** An Express application to mount with `app.use(path, broadcaster())`, with methods for the process. */
export interface Broadcaster<S extends Schemas = Schemas>
  extends RequestHandler, Omit<Express, 'unsubscribe'> {
  /**
   * Resolves when the broker is connected and messages are received. While Redis is unavailable, it waits.
   *
   * @throws {BroadcasterError} `brokerRefused`, if Redis refuses the connection (wrong password, wrong database, ...),
   * or if its user lacks permissions: the message has the ACL line that grants them.
   */
  ready(): Promise<void>
  /**
   * Publishes from this process. It is exactly a Redis `PUBLISH`. A Buffer, a typed array, a DataView or an ArrayBuffer
   * is sent as its bytes, and clients receive these bytes decoded as UTF-8. Any other body that is not a string is sent
   * as JSON.
   *
   * With the option `channels`, the names of channels and the bodies are typed. Every body is sent as JSON, except where
   * the schema is `text`. A body that does not fit the schema of its channel is not published.
   *
   * If the connection was just lost, it waits up to a second for a new one. If the connection breaks while the message
   * is being sent, the message is not sent again, because it may have been published already. (On a Redis Cluster,
   * ioredis may send it again.)
   *
   * @throws {BroadcasterError} `brokerUnavailable`, if Redis is unavailable: the message tells whether nothing was
   * published, or whether that is unknown. `brokerRefused`, if Redis refuses the command. `invalidOption`, if JSON
   * cannot represent the body, if the map `channels` does not have the channel, if the body does not fit its schema (the
   * `cause` is a `SchemaError`), if the body is larger than `limits.publishedBytes`, if the channel is not a valid name,
   * or if it is reserved: the control channel, every name that begins with `controlNamespace`, and the channels of
   * Redis itself.
   */
  publish<Name extends ChannelNameOf<S>>(channel: Name, body: InputOf<S, Name>): Promise<void>
  /**
   * Counts clients and channels. It only reads, so it also works while Redis refuses writes. Other nodes cannot report
   * their connections then: six seconds later they are no longer counted.
   *
   * @throws {BroadcasterError} `brokerUnavailable`, if Redis is unavailable, for example before {@link ready}.
   * `brokerRefused`, if Redis refuses to read. `closed`, after {@link close}.
   */
  stats(): Promise<Stats>
  /**
   * Handles the WebSocket requests of a server that was not made by `app.listen`. A second call for the same server has
   * no effect.
   */
  attach(server: AttachableServer): void
  /**
   * Disconnects, on every node, all clients whose context contains everything that `match` has. Example: `{ user: 5 }`.
   * Both are compared as JSON: nested objects by the keys that `match` has, lists item by item. `'everyone'` selects
   * every client, with or without a context. A disconnected WebSocket client does not reconnect by itself. The session
   * of a long-poll client ends, and `canConnect` decides when the client requests a new session.
   *
   * @throws {BroadcasterError} `invalidOption`, if `match` is empty, or contains a value that JSON would omit:
   * `{ user: undefined }`
   */
  disconnect(match: object | 'everyone'): Promise<void>
  /**
   * Asks, on every node, all clients for credentials again whose context contains everything that `match` has. The context is
   * compared as for {@link disconnect}. The `auth` function of the client is called, then `canConnect`, and `canSubscribe` for each
   * channel. The client continues from its positions, so it misses nothing. Channels that it may no longer have end with
   * `unsubscribed`. Call it when rights have changed.
   *
   * @throws {BroadcasterError} `invalidOption`
   */
  reauthorize(match: object | 'everyone'): Promise<void>
  /**
   * Unsubscribes clients from a channel, on every node: all clients whose context contains everything that `match` has.
   * The context is compared as for {@link disconnect}.
   *
   * @throws {BroadcasterError} `invalidOption`
   */
  unsubscribe(match: object | 'everyone', channel: string): Promise<void>
  /**
   * Stops the broadcaster. With `drain` (in ms), clients are asked one after the other, spread over that time, to move
   * to another node. Until they have moved, this node serves its logs to other nodes, so that no client misses a
   * message. Without `drain`, all connections are closed at once. Close your HTTP server afterwards.
   *
   * @throws {BroadcasterError} `invalidOption`, if `drain` is neither 0 nor whole ms up to 2^31 - 1. Nothing is stopped
   * then.
   */
  close(options?: { drain?: number }): Promise<void>
}

/**
 * Makes the middleware: WebSocket and long-poll on one path.
 *
 * @example
 * app.use('/broadcast', broadcaster({ canConnect: (auth, req) => req.session.user !== undefined }))
 *
 * @throws {BroadcasterError} `invalidOption`
 */
export function broadcaster<C extends object = Context, S extends Schemas = Schemas>(
  options: BroadcasterOptions<C, S> = {},
): Broadcaster<S> {
  return open(resolveOptions(options))
}

function open(options: ResolvedOptions): Broadcaster {
  const { limits, logger } = options
  const bodyLimits = new BodyLimits(limits)
  const codec = codecFor(options)
  const node = new Node(options, backendFor(options, codec), codec)
  const webSockets = new WebSockets(node, options.timeout)
  const metrics = new NodeMetrics(node)
  const app = express()
  const { perMessageDeflate, handleProtocols: choose } = options.webSocket
  const wsOptions = {
    perMessageDeflate: withoutContext(perMessageDeflate),
    // `ws` 7 passes a list. `ws` 8 passes a Set; an application may have overridden the version.
    ...(choose && {
      handleProtocols: (names: Iterable<string>, req: IncomingMessage) => choose([...names], req),
    }),
    maxPayload: bodyLimits.message,
    clientTracking: false,
  }
  const upgrades = new UpgradeGate(app, wsOptions, logger, (ws, req) => webSockets.accept(ws, req as Request))
  new Routes({ ...options, node, upgrades, bodyLimits }).addTo(app)
  let closing: Promise<void> | null = null
  const close = async (drainMs: number): Promise<void> => {
    await node.close(drainMs)
    webSockets.stop()
    upgrades.detach()
    metrics.close()
  }
  const ready = node.start()
  ready.catch((error: unknown) => {
    // If the broadcaster was closed before Redis was available, the failed start is not an error.
    if (closing === null) logger.error({ event: 'cannotStart', err: error }, 'The broadcaster cannot start')
  })
  Object.defineProperty(app, METRICS, { value: metrics })
  return Object.assign(app, {
    ready: () => ready,
    publish: (channel: string, body: unknown) => node.publisher.publish(channel, body),
    stats: () => node.stats(),
    attach: (server: AttachableServer) => upgrades.attach(server),
    disconnect: (match: object | 'everyone') => node.removals.disconnect(match),
    reauthorize: (match: object | 'everyone') => node.removals.reauthorize(match),
    unsubscribe: (match: object | 'everyone', channel: string) => node.removals.unsubscribe(match, channel),
    close: async ({ drain = 0 }: { drain?: number } = {}) => {
      if (drain !== 0) duration('close.drain', drain)
      await (closing ??= close(drain))
    },
  })
}

/** Without Redis there is one process, and nobody else can send control messages. So no signature is needed. */
function codecFor({ secrets, redis, logger }: ResolvedOptions): ControlCodec {
  return secrets.length === 0 || redis === false ? plainCodec : new SignedCodec(secrets, logger)
}

function backendFor(options: ResolvedOptions, codec: ControlCodec): Backend {
  const { redis, pubSub, controlChannel, controlNamespace, timeout: timeoutMs, logger } = options
  if (redis === false) return new MemoryBackend({ controlChannel, timeoutMs })
  return new RedisBackend({
    redis,
    pubSub: pubSub ?? redis,
    controlChannel,
    controlNamespace,
    timeoutMs,
    logger,
    codec,
  })
}
