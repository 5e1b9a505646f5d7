import type { Application, Express, Request, Response } from 'express'
import expressWs from 'express-ws'
import { EventEmitter } from 'node:events'
import type { IncomingMessage, Server as HttpServer } from 'node:http'
import net from 'node:net'
import type WebSocket from 'ws'
import type { ServerOptions } from 'ws'
import type { Logger } from '../logger.ts'
import { Mounts } from './mounts.ts'
import { PendingUpgrade } from './pendingUpgrade.ts'
import { isWebSocketRequest, Upgrades, type AttachableServer } from './upgrades.ts'

/** A WebSocket has opened, with the request that asked for it. */
type OnOpen = (ws: WebSocket, req: IncomingMessage) => void

/**
 * Leads WebSocket requests through the application's own middleware first, and completes the handshake only when they
 * have come out at ours. Used in the ordinary way, express-ws accepts every upgrade of the server, before any middleware
 * has run; so it is given a gate in the place of the server, and the gate is opened for those who have come through.
 * What it has opened comes to us at once: it would go through the application a second time, with a response that keeps
 * all of the request in memory until the next full garbage collection.
 */
export class UpgradeGate {
  readonly #gate = new EventEmitter()
  readonly #logger: Logger
  readonly #mounts: Mounts
  readonly #listening = new WeakSet<Application>()
  /** Weak, since tests make a server for each request. */
  readonly #servers = new Set<WeakRef<AttachableServer>>()
  #isDetached = false
  #hasWarned = false

  constructor(app: Express, wsOptions: ServerOptions, logger: Logger, onOpen: OnOpen) {
    this.#mounts = new Mounts(app)
    this.#logger = logger
    // The types ask for a server; of it, `ws` uses what an emitter has.
    const server = this.#gate as unknown as HttpServer
    // The types of express-ws and of ws name the same options differently.
    const options = { leaveRouterUntouched: true, wsOptions } as expressWs.Options
    const { getWss } = expressWs(app, server, options)
    getWss().removeAllListeners('connection').on('connection', onOpen)
    // With nothing around it, it is the outermost one itself.
    this.#attachWhenListening(app)
  }

  /** Takes the server's WebSocket requests for this application, and no others. */
  attach(server: AttachableServer): void {
    if (this.#isDetached || !Upgrades.of(server).add(this.#mounts)) return
    for (const known of this.#servers) if (known.deref() === undefined) this.#servers.delete(known)
    this.#servers.add(new WeakRef(server))
  }

  /** Leaves every server as it was before, for good. */
  detach(): void {
    this.#isDetached = true
    for (const known of this.#servers) {
      const server = known.deref()
      if (server !== undefined) Upgrades.of(server).remove(this.#mounts)
    }
    this.#servers.clear()
  }

  /** A request has come out here: whether it is an upgrade. From now on an answer to it is ours to give. */
  claim(req: Request): boolean {
    this.#mounts.cameBy(req.baseUrl)
    const upgrade = PendingUpgrade.of(req)
    upgrade?.claim()
    return upgrade !== undefined
  }

  /** Completes the handshake of a request that was {@link claim}ed. */
  accept(req: Request): void {
    const handshake = PendingUpgrade.of(req)?.release()
    if (handshake) this.#gate.emit('upgrade', req, handshake.socket, handshake.head)
  }

  /** Whether a WebSocket request came as an ordinary one: nobody listens to the server's upgrades. */
  isNotAttached(req: Request): boolean {
    return isWebSocketRequest(req) && (req as { upgrade?: boolean }).upgrade !== true
  }

  warnNotAttached(res: Response): void {
    if (this.#isDetached) return void res.status(503).end()
    if (!this.#hasWarned) {
      this.#hasWarned = true
      this.#logger.error(
        {},
        'A WebSocket request came, but the server is not attached: call broadcaster.attach(server). Long-poll works meanwhile',
      )
    }
    res.status(400).type('text/plain').send('WebSocket is not attached to this server; use long-poll')
  }

  /** `app.listen` of whatever application is the outermost one in the end makes the server. */
  #attachWhenListening(parent: Application): void {
    if (this.#listening.has(parent)) return
    this.#listening.add(parent)
    const attached = (listen: Application['listen']) =>
      ((...args: unknown[]) => {
        const server = Reflect.apply(listen, parent, args) as HttpServer
        // Whatever has replaced `listen` may return something else.
        if (server instanceof net.Server) this.attach(server)
        return server
      }) as Application['listen']
    let listen = attached(parent.listen)
    // express-ws replaces it.
    Object.defineProperty(parent, 'listen', {
      configurable: true,
      enumerable: true,
      get: () => listen,
      set: (replacement: Application['listen']) => {
        listen = attached(replacement)
      },
    })
    parent.on('mount', (grandparent) => this.#attachWhenListening(grandparent))
    const { parent: grandparent } = parent as Application & { parent?: Application }
    if (grandparent !== undefined) this.#attachWhenListening(grandparent)
  }
}
