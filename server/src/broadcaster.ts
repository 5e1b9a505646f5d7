import {
  parseClientMessage,
  readClientMessage,
  reasons,
  type Auth,
  type Parsed,
  type ServerError,
} from '@broadcaster/protocol'
import express, {
  type Express,
  type NextFunction,
  type Request,
  type RequestHandler,
  type Response,
} from 'express'
import { Access } from './access.ts'
import type { Backend } from './backends/backend.ts'
import { MemoryBackend } from './backends/memory.ts'
import { RedisBackend } from './backends/redis.ts'
import { readClientName, readGeneration, type Connection } from './connection.ts'
import type { ControlMessage } from './control.ts'
import { BroadcasterError } from './errors.ts'
import { Fences } from './fences.ts'
import { Hub } from './hub.ts'
import { LongPoll } from './longpoll.ts'
import {
  defaultRecovery,
  resolveOptions,
  type BroadcasterOptions,
  type Context,
  type RecoveryOptions,
  type ResolvedOptions,
} from './options.ts'
import { corsFor, originCheck } from './origin.ts'
import { sessionLife } from './sessions.ts'
import { UpgradeGate, type AttachableServer } from './upgrade.ts'
import { WebSockets } from './websocket.ts'

/** How long a request waits for Redis to confirm, in ms. */
const BROKER_TIMEOUT_MS = 5000
/** How often a node says how many connections it has, in ms. */
const REPORT_INTERVAL_MS = 2000

/** What {@link Broadcaster.stats} tells. */
export interface Stats {
  /** WebSocket connections and living long-poll sessions, of all nodes together. */
  connections: number
  /** How many listen to each channel on this node: WebSocket connections and waiting polls. */
  localSubscriptions: Record<string, number>
  /** This node alone. */
  node: {
    id: string
    /** As `/health` says it. */
    isListening: boolean
    webSockets: number
    waitingPolls: number
    /** WebSocket connections that read more slowly than messages come. */
    lagging: number
    /** Channels that are held, those included that are kept for clients that may come back. */
    channels: number
    logMessages: number
    logBytes: number
  }
}

/** An Express application to be mounted with `app.use(path, broadcaster())`, and what the process does with it. */
export interface Broadcaster extends RequestHandler, Omit<Express, 'unsubscribe'> {
  /**
   * Resolves once the broker is connected and listening; while Redis is away it waits.
   *
   * @throws {BroadcasterError} `brokerRefused`, if Redis refuses the connection: wrong password, wrong database, ...
   */
  ready(): Promise<void>
  /**
   * Publishes from this process: exactly a Redis `PUBLISH`. A body that is not a string is sent as JSON.
   *
   * @throws {BroadcasterError} `brokerUnavailable`, if Redis is away: nothing was published, or nobody can say.
   */
  publish(channel: string, body: unknown): Promise<void>
  stats(): Promise<Stats>
  /**
   * Takes the WebSocket requests of a server that `app.listen` did not make. Calling it twice is harmless.
   */
  attach(server: AttachableServer): void
  /** Cuts off, on every node, all clients whose context has everything that `match` has. They don't come back by themselves. */
  disconnect(match: object): Promise<void>
  /** Takes a channel, on every node, from all clients whose context has everything that `match` has. */
  unsubscribe(match: object, channel: string): Promise<void>
  /**
   * Stops. With `drain`, in ms, clients are asked to move to another node one after the other over that time, and the
   * logs are served to other nodes until they have: nobody misses anything. Without, connections are closed at once.
   * Close your HTTP server after it.
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

class Server {
  readonly app: Broadcaster
  readonly #options: ResolvedOptions
  readonly #backend: Backend
  readonly #hub: Hub
  readonly #access: Access
  readonly #webSockets: WebSockets
  readonly #longPoll: LongPoll
  readonly #upgrades: UpgradeGate
  readonly #fences: Fences
  readonly #ready: Promise<void>
  readonly #reporter: NodeJS.Timeout
  readonly #isAllowedOrigin: (req: Request) => boolean
  #isDraining = false
  #closing: Promise<void> | null = null

  constructor(options: ResolvedOptions) {
    const { limits, logger, timeout, recovery, controlChannel, controlNamespace } = options
    this.#options = options
    this.#backend = backendFor(options)
    this.#fences = new Fences(sessionLife(timeout).pollingMs)
    const { window: windowMs, ...logLimits } = recovery === false ? LONGPOLL_LOG : recovery
    this.#hub = new Hub({
      backend: this.#backend,
      logger,
      controlChannel,
      controlNamespace,
      recovery: recovery !== false,
      log: { windowMs, ...logLimits },
      retentionMs: Math.max(windowMs, sessionLife(timeout).idleMs),
    })
    this.#hub.onControl = (message) => this.#control(message)
    this.#access = new Access({
      canConnect: options.canConnect,
      canSubscribe: options.canSubscribe,
      isReserved: (channel) => this.#hub.isReserved(channel),
      maxChannelBytes: limits.channelBytes,
      logger,
    })
    const host = {
      hub: this.#hub,
      access: this.#access,
      limits,
      logger,
      brokerTimeoutMs: BROKER_TIMEOUT_MS,
      recovery: recovery !== false,
    }
    this.#webSockets = new WebSockets(
      {
        ...host,
        authenticate: (auth, req) => this.#access.connect(auth, req),
        authenticated: (auth, connection) => this.#replaceOlder(auth, connection),
      },
      timeout,
    )
    this.#longPoll = new LongPoll({
      ...host,
      sessions: this.#backend.sessions,
      timeoutMs: timeout,
      pollTimeMs: options.pollTime,
      authenticated: (auth) => this.#replaceOlder(auth, null),
      isFenced: (client, generation) => this.#fences.isFenced(client, generation),
      isDraining: () => this.#isDraining,
    })
    this.#isAllowedOrigin = originCheck(options.checkOrigin)
    const app = express()
    this.#upgrades = new UpgradeGate(
      app,
      {
        perMessageDeflate: false,
        ...options.webSocket,
        maxPayload: finite(limits.messageBytes),
        clientTracking: false,
      },
      logger,
    )
    this.#route(app)
    this.app = Object.assign(app, {
      ready: () => this.#ready,
      publish: (channel: string, body: unknown) => this.#publish(channel, body),
      stats: () => this.#stats(),
      attach: (server: AttachableServer) => this.#upgrades.attach(server),
      disconnect: (match: object) => this.#disconnect(match),
      unsubscribe: (match: object, channel: string) => this.#unsubscribe(match, channel),
      close: ({ drain = 0 }: { drain?: number } = {}) => (this.#closing ??= this.#close(drain)),
    })
    this.#ready = this.#hub.start()
    this.#ready.catch((error: unknown) => logger.error({ err: error }, 'broadcaster can not start'))
    this.#reporter = setInterval(() => this.#report(), REPORT_INTERVAL_MS)
    this.#reporter.unref()
  }

  // -- HTTP

  #route(app: Express): void {
    app.disable('x-powered-by')
    this.#upgrades.app.ws('/', (ws, req) => this.#webSockets.accept(ws, req))
    app.use((req, res, next) => this.#upgrade(req, res, next))
    app.get('/health', (_req, res) => {
      res.status(this.#hub.isListening && !this.#isDraining ? 200 : 503).end()
    })
    app.use(corsFor(this.#isAllowedOrigin))
    const { messageBytes } = this.#options.limits
    const readBody = express.raw({ type: () => true, limit: finite(messageBytes) })
    app.use((req, res) => {
      if (req.method === 'POST') return this.#post(req, res, readBody)
      if (req.method === 'OPTIONS') return res.status(this.#isAllowedOrigin(req) ? 204 : 403).end()
      if (req.method !== 'GET') return res.status(405).set('Allow', 'GET, POST, OPTIONS').end()
      if (req.headers.upgrade?.toLowerCase() === 'websocket') return this.#upgrades.warnNotAttached(res)
      return res.status(400).type('text/plain').send('Bad Request')
    })
  }

  #upgrade(req: Request, res: Response, next: NextFunction): void {
    if (!this.#upgrades.claim(req)) return next()
    const refusal =
      req.path !== '/'
        ? 404
        : !this.#isAllowedOrigin(req)
          ? 403
          : this.#isFull || this.#isDraining
            ? 503
            : null
    if (refusal === null) this.#upgrades.accept(req)
    else res.status(refusal).end()
  }

  #post(req: Request, res: Response, readBody: RequestHandler): void {
    if (!this.#isAllowedOrigin(req)) return void res.status(403).end()
    readBody(req, res, (error?: unknown) => {
      const status = (error as { status?: number } | undefined)?.status
      if (error !== undefined) return void res.status(status ?? 400).end()
      // An application that parses bodies itself has done so already.
      const body: unknown = req.body
      const parsed = Buffer.isBuffer(body) ? parseClientMessage(body.toString()) : readClientMessage(body)
      void this.#answer(req, res, parsed)
    })
  }

  async #answer(req: Request, res: Response, parsed: Parsed): Promise<void> {
    const type = parsed.kind === 'message' ? parsed.message.__type : null
    const isRefused = (type === 'poll' && this.#isFull) || (type === 'auth' && this.#isDraining)
    const gone = new AbortController()
    res.on('close', () => gone.abort())
    const { status, body } = isRefused
      ? { status: 503, body: UNAVAILABLE }
      : await this.#longPoll.handle(parsed, (auth) => this.#access.connect(auth, req), gone.signal)
    if (res.destroyed) return
    const headers: Record<string, string | number> = {
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Length': Buffer.byteLength(body),
      'Cache-Control': 'no-store',
    }
    // The next request finds another node.
    if (this.#isDraining) headers['Connection'] = 'close'
    res.writeHead(status, headers).end(body)
  }

  get #isFull(): boolean {
    return this.#webSockets.size + this.#longPoll.waiting >= this.#options.limits.connections
  }

  // -- clients

  #replaceOlder(auth: Auth, connection: Connection | null): void {
    const client = readClientName(auth)
    const generation = readGeneration(auth)
    if (client !== null) {
      if (connection !== null && this.#fences.isFenced(client, generation))
        return connection.close('replaced')
      if (connection !== null) this.#webSockets.register(client, connection)
      // A first connection has none before it.
      if (generation > 1) this.#fence(client, generation)
    }
    if (typeof auth.__previous === 'string') this.#inBackground(this.#longPoll.endSession(auth.__previous))
  }

  #fence(client: string, generation: number): void {
    this.#fences.add(client, generation)
    this.#webSockets.replace(client, generation)
    this.#inBackground(this.#hub.publishToAll({ type: 'fence', client, generation }))
  }

  #control(message: ControlMessage): void {
    switch (message.type) {
      case 'fence':
        this.#fences.add(message.client, message.generation)
        return this.#webSockets.replace(message.client, message.generation)
      case 'disconnect':
        return this.#webSockets.forEach(message.match, (connection) => connection.close('disconnected'))
      case 'unsubscribe':
        return this.#webSockets.forEach(message.match, (connection) => connection.revoke(message.channel))
      default:
        return this.#longPoll.control(message)
    }
  }

  /** What can't be done while Redis is away: it is tidying up, and nobody waits for it. */
  #inBackground(work: Promise<unknown>): void {
    work.catch((error: unknown) =>
      this.#options.logger.debug({ err: error }, 'Redis was away for some tidying'),
    )
  }

  // -- methods

  async #publish(channel: string, body: unknown): Promise<void> {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    if (typeof channel !== 'string' || text === undefined) {
      throw new BroadcasterError(
        'invalidOption',
        'publish(channel, body): expected a channel name and a body that is JSON',
      )
    }
    await this.#backend.publish(channel, text)
  }

  async #stats(): Promise<Stats> {
    const [others, sessions] = await Promise.all([
      this.#backend.connections(this.#hub.node),
      this.#backend.sessions.count(),
    ]).catch((error: unknown) => {
      throw BroadcasterError.from(error, 'brokerUnavailable')
    })
    const log = this.#hub.logUsage()
    return {
      connections: this.#webSockets.authenticated + others + sessions,
      localSubscriptions: this.#hub.localSubscriptions(),
      node: {
        id: this.#hub.node,
        isListening: this.#hub.isListening,
        webSockets: this.#webSockets.authenticated,
        waitingPolls: this.#longPoll.waiting,
        lagging: this.#webSockets.lagging,
        channels: log.channels,
        logMessages: log.messages,
        logBytes: log.bytes,
      },
    }
  }

  async #disconnect(match: object): Promise<void> {
    await this.#hub.publishToAll({ type: 'disconnect', match })
    await this.#longPoll.endSessions(match)
  }

  async #unsubscribe(match: object, channel: string): Promise<void> {
    await this.#hub.publishToAll({ type: 'unsubscribe', match, channel })
    await this.#longPoll.revoke(match, channel)
  }

  #report(): void {
    this.#inBackground(
      this.#backend.report(this.#hub.node, this.#webSockets.authenticated, 3 * REPORT_INTERVAL_MS),
    )
  }

  async #close(drainMs: number): Promise<void> {
    this.#isDraining = true
    clearInterval(this.#reporter)
    this.#longPoll.endPolls()
    if (drainMs > 0) await this.#webSockets.drain(drainMs)
    this.#webSockets.stop()
    await this.#backend.leave(this.#hub.node).catch(() => {})
    await this.#hub.close()
  }
}

/** What long-poll keeps of a channel between two polls where recovery is off. */
const LONGPOLL_LOG: RecoveryOptions = defaultRecovery

const UNAVAILABLE = JSON.stringify([
  { __type: 'serverError', reason: reasons.nodeUnavailable } satisfies ServerError,
])

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

/** Libraries know no infinity: a number beyond every real size in its place. */
function finite(limit: number): number {
  return Number.isFinite(limit) ? limit : Number.MAX_SAFE_INTEGER
}
