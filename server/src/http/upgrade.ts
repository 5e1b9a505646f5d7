import type { Application, Express, Request, Response } from 'express'
import expressWs from 'express-ws'
import { EventEmitter } from 'node:events'
import type { IncomingMessage, Server as HttpServer } from 'node:http'
import net from 'node:net'
import type WebSocket from 'ws'
import type { ServerOptions } from 'ws'
import type { EventLogger } from '../logger.ts'
import { Mounts } from './mounts.ts'
import { PendingUpgrade } from './pendingUpgrade.ts'
import { isWebSocketRequest, Upgrades, type AttachableServer } from './upgrades.ts'

/** Called when a WebSocket is open, with its request. */
type OnOpen = (ws: WebSocket, req: IncomingMessage) => void

/**
 * Passes WebSocket requests through the application's middleware, and completes the handshake only when they reach our
 * routes. express-ws normally accepts every upgrade of the server before any middleware runs. So it gets an event
 * emitter, the gate, in place of the server, and only accepted requests are emitted on the gate. The opened WebSocket
 * is then given to us directly. express-ws would pass it through the application a second time, with a response that
 * keeps the whole request in memory until the next full garbage collection.
 */
export class UpgradeGate {
  readonly #gate = new EventEmitter()
  readonly #logger: EventLogger
  readonly #mounts: Mounts
  readonly #listening = new WeakSet<Application>()
  /** Weak references, because tests create a server for each request. */
  readonly #servers = new Set<WeakRef<AttachableServer>>()
  #isDetached = false
  #hasWarned = false

  constructor(app: Express, wsOptions: ServerOptions, logger: EventLogger, onOpen: OnOpen) {
    this.#mounts = new Mounts(app)
    this.#logger = logger
    // The type requires a server, but `ws` only uses the methods of an event emitter.
    const server = this.#gate as unknown as HttpServer
    // The types of express-ws and ws have different names for the same options.
    const options = { leaveRouterUntouched: true, wsOptions } as expressWs.Options
    const { getWss } = expressWs(app, server, options)
    getWss().removeAllListeners('connection').on('connection', onOpen)
    // If our application is not mounted, it is the outermost application itself.
    this.#attachWhenListening(app)
  }

  /** Takes over the server's WebSocket requests for this application, and no others. */
  attach(server: AttachableServer): void {
    if (this.#isDetached || !Upgrades.of(server).add(this.#mounts)) return
    for (const known of this.#servers) if (known.deref() === undefined) this.#servers.delete(known)
    this.#servers.add(new WeakRef(server))
  }

  /** Permanently restores every server to its state before {@link attach}. */
  detach(): void {
    this.#isDetached = true
    for (const known of this.#servers) {
      const server = known.deref()
      if (server !== undefined) Upgrades.of(server).remove(this.#mounts)
    }
    this.#servers.clear()
  }

  /**
   * Must be called for a request that has reached our routes. Returns whether it is an upgrade. From then on its
   * answers go to the client.
   */
  claim(req: Request): boolean {
    this.#mounts.reached(req.baseUrl)
    const upgrade = PendingUpgrade.of(req)
    upgrade?.claim()
    return upgrade !== undefined
  }

  /** Completes the handshake of a request that was {@link claim}ed. */
  accept(req: Request): void {
    const handshake = PendingUpgrade.of(req)?.release()
    if (handshake) this.#gate.emit('upgrade', req, handshake.socket, handshake.head)
  }

  /**
   * Whether a WebSocket request came as an ordinary request, because nobody listens to the server's `upgrade` event.
   */
  isNotAttached(req: Request): boolean {
    return isWebSocketRequest(req) && (req as { upgrade?: boolean }).upgrade !== true
  }

  warnNotAttached(res: Response): void {
    if (this.#isDetached) return void res.status(503).end()
    if (!this.#hasWarned) {
      this.#hasWarned = true
      this.#logger.error(
        { event: 'notAttached' },
        'A WebSocket request came, but the server is not attached: call broadcaster.attach(server). Long-poll works meanwhile',
      )
    }
    res.status(400).type('text/plain').send('WebSocket is not attached to this server; use long-poll')
  }

  /**
   * Attaches the server that `app.listen` creates. This wraps `listen` of every parent application, because any of them
   * may be the outermost one.
   */
  #attachWhenListening(parent: Application): void {
    if (this.#listening.has(parent)) return
    this.#listening.add(parent)
    const attached = (listen: Application['listen']) =>
      ((...args: unknown[]) => {
        const server = Reflect.apply(listen, parent, args) as HttpServer
        // A replaced `listen` may return something else.
        if (server instanceof net.Server) this.attach(server)
        return server
      }) as Application['listen']
    let listen = attached(parent.listen)
    // express-ws replaces `listen`, so the replacement is wrapped too.
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
