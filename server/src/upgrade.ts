import type { Application, Express, Request, Response } from 'express'
import expressWs from 'express-ws'
import { EventEmitter } from 'node:events'
import { ServerResponse, type IncomingMessage, type Server as HttpServer } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type WebSocket from 'ws'
import type { ServerOptions } from 'ws'
import type { Logger } from './logger.ts'

export type AttachableServer = HttpServer | HttpsServer

/** A WebSocket has opened, with the request that asked for it. */
type OnOpen = (ws: WebSocket, req: IncomingMessage) => void

/** An upgrade request on its way through the application's middleware. */
interface Pending {
  readonly socket: Duplex
  readonly head: Buffer
  readonly response: ServerResponse
  /** Whether what middleware answers goes to the client. */
  isAnswerable: boolean
}

/** Shared by all broadcasters of the process: the request comes out at the one that is mounted on its way. */
const pending = new WeakMap<IncomingMessage, Pending>()

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
  readonly #attached = new WeakSet<AttachableServer>()
  readonly #mounted: Mounted
  #hasWarned = false

  constructor(app: Express, wsOptions: ServerOptions, logger: Logger, onOpen: OnOpen) {
    this.#mounted = app
    this.#logger = logger
    // The types ask for a server; of it, `ws` uses what an emitter has.
    const server = this.#gate as unknown as HttpServer
    // The types of express-ws and of ws name the same options differently.
    const options = { leaveRouterUntouched: true, wsOptions } as expressWs.Options
    const { getWss } = expressWs(app, server, options)
    getWss().removeAllListeners('connection').on('connection', onOpen)
    app.on('mount', (parent) => this.#attachWhenListening(parent))
  }

  /** Takes the server's WebSocket requests for this application, and no others. */
  attach(server: AttachableServer): void {
    if (this.#attached.has(server)) return
    this.#attached.add(server)
    server.on('upgrade', (req, socket, head) => this.#dispatch(server, req, socket, head))
  }

  /** A request has come out here: whether it is an upgrade. From now on an answer to it is ours to give. */
  claim(req: Request): boolean {
    const upgrade = pending.get(req)
    if (upgrade === undefined) return false
    makeAnswerable(upgrade)
    return true
  }

  /** Completes the handshake of a request that was {@link claim}ed. */
  accept(req: Request): void {
    const { socket, head, response } = pending.get(req)!
    pending.delete(req)
    response.detachSocket(socket as Socket)
    socket.off('error', destroySocket)
    this.#gate.emit('upgrade', req, socket, head)
  }

  /** A WebSocket request came as an ordinary one: nobody listens to the server's upgrades. */
  warnNotAttached(res: Response): void {
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
    const listen = parent.listen
    parent.listen = ((...args: unknown[]) => {
      const server = Reflect.apply(listen, parent, args) as HttpServer
      this.attach(server)
      return server
    }) as Application['listen']
    parent.on('mount', (grandparent) => this.#attachWhenListening(grandparent))
  }

  #dispatch(server: AttachableServer, req: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (pending.has(req)) return
    const paths = this.#paths()
    if (paths !== null && !isUnderOne(paths, req)) return
    // An error of the socket has nobody else to hear it while middleware is at work.
    socket.on('error', destroySocket)
    const response = new ServerResponse(req)
    response.shouldKeepAlive = false
    response.on('finish', endSocket)
    const upgrade: Pending = { socket, head, response, isAnswerable: false }
    pending.set(req, upgrade)
    // Where our path isn't known the request has to find us. If others listen to upgrades too, one that does not find us
    // is theirs, and what middleware says of it is not heard.
    if (paths !== null || server.listenerCount('upgrade') === 1) makeAnswerable(upgrade)
    server.emit('request', req, response)
  }

  /** The full paths that lead here; `null` if they can't be known: inside a Router, or with parameters. */
  #paths(): string[] | null {
    const { parent, mountpath } = this.#mounted
    if (parent === undefined) return null
    const paths = [mountpath].flat().map((path) => parent.path() + (path === '/' ? '' : path))
    return paths.every((path) => PLAIN_PATH.test(path)) ? paths : null
  }
}

/** What Express adds to an application that is mounted, and its types leave out. */
type Mounted = Express & { readonly parent?: Application }

const PLAIN_PATH = /^[^:*?+(){}[\],]*$/

function isUnderOne(mounts: readonly string[], req: IncomingMessage): boolean {
  const path = (req.url ?? '/').split('?', 1)[0]!.toLowerCase()
  return mounts.some((mount) => path === mount.toLowerCase() || path.startsWith(`${mount.toLowerCase()}/`))
}

// No closures: they would keep the request for as long as the socket lives.
function destroySocket(this: Duplex): void {
  this.destroy()
}

function endSocket(this: ServerResponse): void {
  this.socket?.end()
}

function makeAnswerable(upgrade: Pending): void {
  if (upgrade.isAnswerable) return
  upgrade.isAnswerable = true
  upgrade.response.assignSocket(upgrade.socket as Socket)
}
