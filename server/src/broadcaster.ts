import express, { type Express, type Request, type RequestHandler } from 'express'
import { constants } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import type { Backend } from './backends/backend.ts'
import { MemoryBackend } from './backends/memory.ts'
import { RedisBackend } from './backends/redis.ts'
import { plainCodec, type ControlCodec } from './control/codec.ts'
import { SignedCodec } from './control/signing.ts'
import { Routes } from './http/routes.ts'
import { UpgradeGate } from './http/upgrade.ts'
import type { AttachableServer } from './http/upgrades.ts'
import { duration } from './input/optionChecks.ts'
import { Node, type Stats } from './node.ts'
import { resolveOptions, type BroadcasterOptions, type Context, type ResolvedOptions } from './options.ts'
import { withoutContext } from './websocket/inflate.ts'
import { WebSockets } from './websocket/websocket.ts'

/** An Express application to be mounted with `app.use(path, broadcaster())`, and what the process does with it. */
export interface Broadcaster extends RequestHandler, Omit<Express, 'unsubscribe'> {
  /**
   * Resolves once the broker is connected and listening; while Redis is away it waits.
   *
   * @throws {BroadcasterError} `brokerRefused`, if Redis refuses the connection (wrong password, wrong database, ...), or if its
   * user may not do what is needed: the message has the ACL line that grants it.
   */
  ready(): Promise<void>
  /**
   * Publishes from this process: exactly a Redis `PUBLISH`. A Buffer, a typed array, a DataView or an ArrayBuffer is sent as
   * its bytes, of which clients get what UTF-8 makes of them; any other body that is not a string is sent as JSON.
   *
   * It waits up to a second for a connection that was just lost, but a message that was on its way when the connection broke is
   * not sent again: it may have been published already. (On a Redis Cluster, ioredis may send it again.)
   *
   * @throws {BroadcasterError} `brokerUnavailable`, if Redis is away: nothing was published, or nobody can say, which the
   * message tells. `brokerRefused`, if Redis says no. `invalidOption`, if the body is no JSON, the channel no name, or reserved: the
   * control channel, what begins with `controlNamespace`, and Redis' own.
   */
  publish(channel: string, body: unknown): Promise<void>
  stats(): Promise<Stats>
  /**
   * Takes the WebSocket requests of a server that `app.listen` did not make. Calling it twice is harmless.
   */
  attach(server: AttachableServer): void
  /**
   * Cuts off, on every node, all clients whose context has everything that `match` has: `{ user: 5 }`. Both are compared as
   * JSON, nested objects by the keys that `match` has, lists item by item. `'everyone'` is every client, with a context or
   * without. A WebSocket client does not come back by itself; a long-poll client's session ends, and `canConnect` decides
   * when it asks for another.
   *
   * @throws {BroadcasterError} `invalidOption`, if `match` is empty, or holds what JSON would leave out: `{ user: undefined }`
   */
  disconnect(match: object | 'everyone'): Promise<void>
  /**
   * Takes a channel, on every node, from all clients whose context has everything that `match` has, as for
   * {@link disconnect}.
   *
   * @throws {BroadcasterError} `invalidOption`
   */
  unsubscribe(match: object | 'everyone', channel: string): Promise<void>
  /**
   * Stops. With `drain`, in ms, clients are asked to move to another node one after the other over that time, and the
   * logs are served to other nodes until they have: nobody misses anything. Without, connections are closed at once.
   * Close your HTTP server after it.
   *
   * @throws {BroadcasterError} `invalidOption`, if `drain` is not 0 or whole ms up to 2^31 - 1; nothing is stopped then
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
export function broadcaster<C extends object = Context>(options: BroadcasterOptions<C> = {}): Broadcaster {
  return open(resolveOptions(options))
}

function open(options: ResolvedOptions): Broadcaster {
  const { limits, logger } = options
  const maxBytes = finite(limits.messageBytes)
  const codec = codecFor(options)
  const node = new Node(options, backendFor(options, codec), codec)
  const webSockets = new WebSockets(node, options.timeout)
  const app = express()
  const { perMessageDeflate, handleProtocols: choose } = options.webSocket
  const wsOptions = {
    perMessageDeflate: withoutContext(perMessageDeflate),
    // `ws` 7 passes a list, and `ws` 8, by which it may have been overridden, a set.
    ...(choose && {
      handleProtocols: (names: Iterable<string>, req: IncomingMessage) => choose([...names], req),
    }),
    maxPayload: maxBytes,
    clientTracking: false,
  }
  const upgrades = new UpgradeGate(app, wsOptions, logger, (ws, req) => webSockets.accept(ws, req as Request))
  new Routes({ ...options, node, upgrades, maxBytes }).addTo(app)
  let closing: Promise<void> | null = null
  const close = async (drainMs: number): Promise<void> => {
    await node.close(drainMs)
    webSockets.stop()
    upgrades.detach()
  }
  const ready = node.start()
  ready.catch((error: unknown) => {
    // Closed before Redis was there, it was not meant to start any more.
    if (closing === null) logger.error({ err: error }, 'The broadcaster can not start')
  })
  return Object.assign(app, {
    ready: () => ready,
    publish: (channel: string, body: unknown) => node.publish(channel, body),
    stats: () => node.stats(),
    attach: (server: AttachableServer) => upgrades.attach(server),
    disconnect: (match: object | 'everyone') => node.disconnect(match),
    unsubscribe: (match: object | 'everyone', channel: string) => node.unsubscribe(match, channel),
    close: async ({ drain = 0 }: { drain?: number } = {}) => {
      if (drain !== 0) duration('close.drain', drain)
      await (closing ??= close(drain))
    },
  })
}

/** Within one process nobody else can speak as a node. */
function codecFor({ secrets, redis, logger }: ResolvedOptions): ControlCodec {
  return secrets.length === 0 || redis === false ? plainCodec : new SignedCodec(secrets, logger)
}

function backendFor(options: ResolvedOptions, codec: ControlCodec): Backend {
  const { redis, pubSub, controlChannel, controlNamespace, timeout: timeoutMs, logger } = options
  if (redis === false) return new MemoryBackend({ controlChannel, timeoutMs })
  const backend = new RedisBackend({
    redis,
    pubSub: pubSub ?? redis,
    controlChannel,
    controlNamespace,
    timeoutMs,
    logger,
    codec,
  })
  if (!backend.isOrdered && options.recovery !== false) {
    logger.warn(
      {},
      'Redis Cluster has no one order: clients can only be recovered by the node that they were on',
    )
  }
  return backend
}

/** What a message can be at most in any case: Node makes no text of more, and `ws` counts in 32 bits. */
function finite(limit: number): number {
  return Math.min(limit, constants.MAX_STRING_LENGTH)
}
