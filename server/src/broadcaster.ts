import express, {
  type Express,
  type NextFunction,
  type Request,
  type RequestHandler,
  type Response,
} from 'express'
import { constants } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import type { Backend } from './backends/backend.ts'
import { MemoryBackend } from './backends/memory.ts'
import { RedisBackend } from './backends/redis.ts'
import { readBody, type Body } from './http/body.ts'
import type { Authenticate } from './clients/access.ts'
import { ClientDeparture } from './longpoll/departure.ts'
import { withoutContext } from './websocket/inflate.ts'
import type { Logger } from './logger.ts'
import { Node, type Stats } from './node.ts'
import { duration } from './input/optionChecks.ts'
import { resolveOptions, type BroadcasterOptions, type Context, type ResolvedOptions } from './options.ts'
import { allowCors, originCheck, type OriginCheck } from './http/origin.ts'
import type { Moment } from './clients/revocations.ts'
import { answerUnread } from './http/unreadBody.ts'
import { UpgradeGate } from './http/upgrade.ts'
import type { AttachableServer } from './http/upgrades.ts'
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
  return new Server(resolveOptions(options)).app
}

/** The Express side of a node. */
class Server {
  readonly app: Broadcaster
  readonly #node: Node
  readonly #webSockets: WebSockets
  readonly #upgrades: UpgradeGate
  readonly #checkOrigin: OriginCheck
  readonly #maxBytes: number
  readonly #logger: Logger
  #hasWarnedOfBody = false
  #closing: Promise<void> | null = null

  constructor(options: ResolvedOptions) {
    const { limits, logger } = options
    this.#maxBytes = finite(limits.messageBytes)
    this.#logger = logger
    const node = new Node(options, backendFor(options))
    this.#node = node
    this.#webSockets = new WebSockets(node, options.timeout)
    this.#checkOrigin = originCheck(options)
    const app = express()
    const { perMessageDeflate, handleProtocols: choose } = options.webSocket
    const wsOptions = {
      perMessageDeflate: withoutContext(perMessageDeflate),
      // `ws` 7 passes a list, and `ws` 8, by which it may have been overridden, a set.
      ...(choose && {
        handleProtocols: (names: Iterable<string>, req: IncomingMessage) => choose([...names], req),
      }),
      maxPayload: this.#maxBytes,
      clientTracking: false,
    }
    this.#upgrades = new UpgradeGate(app, wsOptions, logger, (ws, req) => {
      this.#webSockets.accept(ws, req as Request)
    })
    this.#route(app)
    const ready = node.start()
    ready.catch((error: unknown) => {
      // Closed before Redis was there, it was not meant to start any more.
      if (this.#closing === null) logger.error({ err: error }, 'The broadcaster can not start')
    })
    this.app = Object.assign(app, {
      ready: () => ready,
      publish: (channel: string, body: unknown) => node.publish(channel, body),
      stats: () => node.stats(),
      attach: (server: AttachableServer) => this.#upgrades.attach(server),
      disconnect: (match: object | 'everyone') => node.disconnect(match),
      unsubscribe: (match: object | 'everyone', channel: string) => node.unsubscribe(match, channel),
      close: async ({ drain = 0 }: { drain?: number } = {}) => {
        if (drain !== 0) duration('close.drain', drain)
        await (this.#closing ??= this.#close(drain))
      },
    })
  }

  async #close(drainMs: number): Promise<void> {
    await this.#node.close(drainMs)
    this.#webSockets.stop()
    this.#upgrades.detach()
  }

  #route(app: Express): void {
    app.disable('x-powered-by')
    const serve: RequestHandler = (req, res, next) => {
      if (!isMountPath(req)) return next()
      if (this.#upgrades.claim(req)) return this.#upgrade(req, res)
      if (req.method === 'POST') {
        return this.#checkOrigin(req, (isAllowed) => {
          if (isAllowed) allowCors(req, res, () => this.#post(req, res, next))
          else answerUnread(req, res, 403, this.#maxBytes)
        })
      }
      next()
    }
    app.use(serve)
    this.#shortcut(app, serve)
    app.get('/health', (_req, res) => {
      // For whoever is on call, and for anybody else: no addresses, no names.
      const { ailment } = this.#node
      res.set('Cache-Control', 'no-store').status(ailment === null ? 200 : 503)
      res.json(ailment === null ? { status: 'ok' } : { status: 'unavailable', reason: ailment })
    })
    // What is below the mount may be somebody else's.
    app.use((req, _res, next) => next(isMountPath(req) ? undefined : 'router'))
    app.use((req, res, next) => {
      this.#checkOrigin(req, (isAllowed) => {
        if (isAllowed) allowCors(req, res, next)
        else if (req.method === 'OPTIONS') answerUnread(req, res, 403, this.#maxBytes)
        else next()
      })
    })
    app.use((req, res) => {
      if (req.method === 'OPTIONS') return answerUnread(req, res, 204, this.#maxBytes)
      if (req.method !== 'GET')
        return answerUnread(req, res.set('Allow', 'GET, POST, OPTIONS'), 405, this.#maxBytes)
      if (this.#upgrades.isNotAttached(req)) return this.#upgrades.warnNotAttached(res)
      return res.status(400).type('text/plain').send('Bad Request')
    })
  }

  /**
   * The application around us has made Express requests of what comes here. Going through an application once more would
   * cost more than a poll.
   */
  #shortcut(app: Express, serve: RequestHandler): void {
    const { handle } = app as Handling
    ;(app as Handling).handle = (req, res, next) => {
      const through: NextFunction = (error?: unknown) =>
        error === undefined ? handle.call(app, req, res, next) : next(error)
      // Without an application around us nobody has made anything of it.
      if (req.app === undefined) through()
      else serve(req, res, through)
    }
  }

  #upgrade(req: Request, res: Response): void {
    const node = this.#node
    const { revocations } = node
    const begun = revocations.now
    let isUnderWay = true
    const decided = () => {
      if (isUnderWay) node.sockets -= 1
      isUnderWay = false
    }
    node.sockets += 1
    req.socket.once('close', decided)
    this.#checkOrigin(req, (isAllowed) => {
      req.socket.off('close', decided)
      decided()
      const isOfBefore = revocations.hasDisconnectedAnybody(begun)
      const isWelcome = !node.isFull && !node.isDraining && !isOfBefore
      const refusal = !isAllowed ? 403 : isWelcome ? null : 503
      if (refusal === null) this.#upgrades.accept(req)
      else res.status(refusal).end()
    })
  }

  #post(req: Request, res: Response, next: NextFunction): void {
    // Before the body, which may take its time.
    const begun = this.#node.revocations.now
    readBody(req, this.#maxBytes, (body) => {
      // What middleware has hung into the response may throw when it is written.
      this.#answer(req, res, body, begun).catch(next)
    })
  }

  async #answer(req: Request, res: Response, parsed: Body, begun: Moment): Promise<void> {
    // Gone while the application was thinking: nobody would tell, and nobody is there to wait for.
    if (res.destroyed) return
    if (typeof parsed === 'number') {
      if (parsed === 500) this.#warnBodyLost()
      // The rest of it may still come, but not in time.
      if (parsed === 408) res.set('Connection', 'close')
      return answerUnread(req, res, parsed, this.#maxBytes)
    }
    const departure = new ClientDeparture()
    let isAnswered = false
    res.on('close', () => {
      // Middleware with a limit of time may have answered in our place.
      if (!isAnswered || !res.writableFinished) departure.leave()
    })
    const authenticate: Authenticate = (auth) => this.#node.access.connect(auth, req)
    const { status, body } = await this.#node.handle(parsed, authenticate, departure, begun)
    if (res.destroyed || res.writableEnded) return
    isAnswered = true
    if (res.headersSent) return void res.end(body)
    const headers: Record<string, string | number> = {
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Length': Buffer.byteLength(body),
      'Cache-Control': 'no-store',
    }
    // The next request finds another node.
    if (this.#node.isDraining) headers['Connection'] = 'close'
    res.writeHead(status, headers).end(body)
  }

  #warnBodyLost(): void {
    if (this.#hasWarnedOfBody) return
    this.#hasWarnedOfBody = true
    this.#logger.error(
      {},
      'The body of a long-poll request has been read by other middleware, which left nothing in req.body: mount the broadcaster before it',
    )
  }
}

/** What `app.use` calls of an application that is mounted; the types leave it out. */
type Handling = Express & { handle: RequestHandler }

/** Both transports are served at the mount path, and nothing below it. */
function isMountPath(req: Request): boolean {
  return req.url === '/' || req.path === '/'
}

function backendFor(options: ResolvedOptions): Backend {
  const { redis, pubSub, controlChannel, controlNamespace, timeout: timeoutMs, logger } = options
  if (redis === false) return new MemoryBackend({ controlChannel, timeoutMs })
  const backend = new RedisBackend({
    redis,
    pubSub: pubSub ?? redis,
    controlChannel,
    controlNamespace,
    timeoutMs,
    logger,
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
