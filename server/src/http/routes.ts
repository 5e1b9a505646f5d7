import express, {
  type Express,
  type NextFunction,
  type Request,
  type RequestHandler,
  type Response,
} from 'express'
import type { ResolvedOptions } from '../options.ts'
import type { BodyLimits } from './bodyLimits.ts'
import { LongPollRequests, type LongPollNode } from './longPollRequests.ts'
import { keepLast } from './ownLayers.ts'
import { allowCors, originCheck, type OriginCheck } from './origin.ts'
import { usePrototypesOfExpress } from './requestClasses.ts'
import { answerUnread } from './unreadBody.ts'
import type { UpgradeGate } from './upgrade.ts'
import { WebSocketRequests, type WebSocketNode } from './webSocketRequests.ts'

/** What the routes need of the node. */
export interface ServedNode extends LongPollNode, WebSocketNode {
  /** The reason why the node is unhealthy, or `null`. */
  readonly ailment: string | null
  /** Whether only a restart of the process can help. */
  readonly isDead: boolean
}

export interface RoutesOptions extends Pick<ResolvedOptions, 'checkOrigin' | 'logger'> {
  readonly node: ServedNode
  readonly upgrades: UpgradeGate
  readonly bodyLimits: BodyLimits
}

/** The routes at the mount path, and the health checks below it. */
export class Routes {
  readonly #node: ServedNode
  readonly #upgrades: UpgradeGate
  readonly #checkOrigin: OriginCheck
  readonly #maxBytes: number
  readonly #webSocket: WebSocketRequests
  readonly #longPoll: LongPollRequests

  constructor({ node, upgrades, bodyLimits, ...options }: RoutesOptions) {
    this.#node = node
    this.#upgrades = upgrades
    this.#maxBytes = bodyLimits.message
    this.#checkOrigin = originCheck(options, (req, reason) => {
      const { refusals, addresses } = node.admission
      const { origin, host } = req.headers
      refusals.note({ kind: 'origin', reason }, { address: addresses.of(req).key, origin, host })
    })
    this.#webSocket = new WebSocketRequests(node, this.#checkOrigin, (req) => upgrades.accept(req))
    this.#longPoll = new LongPollRequests(node, bodyLimits, options.logger)
  }

  addTo(app: Express): void {
    app.disable('x-powered-by')
    const serve: RequestHandler = (req, res, next) => this.#serve(req, res, next)
    const routes = express.Router().use(serve)
    shortcut(app, serve, keepLast(app, routes))
    routes.get('/health', (_req, res) => answerHealth(res, this.#node.ailment))
    routes.get('/health/live', (_req, res) =>
      answerHealth(res, this.#node.isDead ? 'The process has to be restarted' : null),
    )
    // Other paths below the mount may belong to other routes of the application.
    routes.use((req, _res, next) => next(isMountPath(req) ? undefined : 'router'))
    routes.use((req, res, next) => {
      const decide = (isAllowed: boolean) => {
        if (isAllowed) allowCors(req, res, next)
        else if (req.method === 'OPTIONS') answerUnread(req, res, 403, this.#maxBytes)
        else next()
      }
      this.#checkOrigin(req, decide, next)
    })
    routes.use((req, res) => {
      if (req.method === 'OPTIONS') return answerUnread(req, res, 204, this.#maxBytes)
      if (req.method !== 'GET')
        return answerUnread(req, res.set('Allow', 'GET, POST, OPTIONS'), 405, this.#maxBytes)
      if (this.#upgrades.isNotAttached(req)) return this.#upgrades.warnNotAttached(res)
      return res.status(400).type('text/plain').send('Bad Request')
    })
  }

  /** Serves the requests of both transports. */
  #serve(req: Request, res: Response, next: NextFunction): void {
    if (!isMountPath(req)) return next()
    usePrototypesOfExpress(req)
    if (this.#upgrades.claim(req)) return this.#webSocket.serve(req, res, next)
    if (req.method !== 'POST') return next()
    this.#checkOrigin(
      req,
      (isAllowed) => {
        if (isAllowed) allowCors(req, res, () => this.#longPoll.serve(req, res, next))
        else answerUnread(req, res, 403, this.#maxBytes)
      },
      next,
    )
  }
}

/**
 * Calls our handler directly, without our own Express application. The parent application has already prepared the
 * Express request and response, and passing through a second application would cost more than a poll. The long way is
 * used only if something was added to our application (`isExtended`).
 */
function shortcut(app: Express, serve: RequestHandler, isExtended: () => boolean): void {
  const { handle } = app as Handling
  ;(app as Handling).handle = (req, res, next) => {
    const through: NextFunction = (error?: unknown) =>
      error === undefined ? handle.call(app, req, res, next) : next(error)
    // Without a parent application, the request has not been prepared by Express yet.
    if (req.app === undefined || isExtended()) through()
    else serve(req, res, through)
  }
}

/** The health checks are public, so a reason contains no addresses and no names. */
function answerHealth(res: Response, reason: string | null): void {
  res.set('Cache-Control', 'no-store').status(reason === null ? 200 : 503)
  res.json(reason === null ? { status: 'ok' } : { status: 'unavailable', reason })
}

/** `handle` is what `app.use` calls on a mounted application. It is missing from the types. */
type Handling = Express & { handle: RequestHandler }

/** Both transports are served exactly at the mount path, not below it. */
function isMountPath(req: Request): boolean {
  return req.url === '/' || req.path === '/'
}
