import type { EventEmitter } from 'node:events'
import type { IncomingMessage, Server as HttpServer } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import type { Duplex } from 'node:stream'
import { afterEarlierAnswers } from './earlierAnswers.ts'
import { pathOf, type Mounts } from './mounts.ts'
import { serveAsOrdinary } from './ordinary.ts'
import { PendingUpgrade } from './pendingUpgrade.ts'

export type AttachableServer = HttpServer | HttpsServer

/** Who handles an upgrade request. */
type Owner =
  /**
   * A WebSocket request for a path of ours, or one that nobody else would handle. The application's middleware decides.
   */
  | 'ours'
  /** Only Express can tell whose path it is, and there are other listeners for it. */
  | 'ours or theirs'
  | 'theirs'
  /** Nobody handles the requested protocol, so the request is served as an ordinary one. */
  | "nobody's"

/**
 * The upgrade requests of one HTTP server. Node emits each of them to all listeners, and most listeners refuse requests
 * that they do not know. So our requests are hidden from the other listeners, and all other requests are left to them
 * unchanged.
 */
export class Upgrades {
  readonly #server: AttachableServer
  readonly #emit: AttachableServer['emit']
  readonly #mounts = new Set<Mounts>()
  readonly #undo: (() => void)[] = []

  /** One instance for each server. All its broadcasters share it. */
  static of(server: AttachableServer): Upgrades {
    let upgrades = servers.get(server)
    if (upgrades === undefined) servers.set(server, (upgrades = new Upgrades(server)))
    return upgrades
  }

  private constructor(server: AttachableServer) {
    this.#server = server
    this.#emit = server.emit
    this.#interceptEmit(server, server.emit)
    // Node only emits `upgrade` if there is a listener.
    server.on('upgrade', listener)
    this.#undo.push(() => server.off('upgrade', listener))
    this.#interceptShouldUpgrade(server)
  }

  /** Returns whether the mounts are new. */
  add(mounts: Mounts): boolean {
    if (this.#mounts.has(mounts)) return false
    this.#mounts.add(mounts)
    return true
  }

  /** When the last mounts are removed, the server is restored to its original state. */
  remove(mounts: Mounts): void {
    if (!this.#mounts.delete(mounts) || this.#mounts.size > 0) return
    servers.delete(this.#server)
    for (const undo of this.#undo) undo()
  }

  /** Replaces `emit`, because a listener cannot hide an event from the other listeners. */
  #interceptEmit(server: EventEmitter, emit: EventEmitter['emit']): void {
    const dispatch = (req: IncomingMessage, socket: Duplex, head: Buffer) => this.#dispatch(req, socket, head)
    const hasOwn = Object.hasOwn(server, 'emit')
    let isActive = true
    const ours: EventEmitter['emit'] = function (this: EventEmitter, event, ...args: unknown[]) {
      if (event !== 'upgrade' || !isActive) return emit.call(this, event, ...args)
      dispatch(...(args as Parameters<typeof dispatch>))
      return true
    }
    server.emit = ours
    this.#undo.push(() => {
      // If other code has wrapped our `emit` meanwhile, ours stays, and passes everything on.
      isActive = false
      if (server.emit !== ours) return
      if (hasOwn) server.emit = emit
      else Reflect.deleteProperty(server, 'emit')
    })
  }

  /** Newer versions of Node ask for each request whether to treat it as an upgrade. */
  #interceptShouldUpgrade(server: AttachableServer & HasShouldUpgrade): void {
    const { shouldUpgradeCallback: others } = server
    if (typeof others !== 'function') return
    let isActive = true
    const ours = (req: IncomingMessage): boolean => {
      const owner = isActive ? this.#ownerOf(req) : 'theirs'
      return owner === 'theirs' ? Reflect.apply(others, server, [req]) : owner !== "nobody's"
    }
    server.shouldUpgradeCallback = ours
    this.#undo.push(() => {
      isActive = false
      if (server.shouldUpgradeCallback === ours) server.shouldUpgradeCallback = others
    })
  }

  #dispatch(req: IncomingMessage, socket: Duplex, head: Buffer): void {
    const owner = this.#ownerOf(req)
    if (owner === 'theirs') this.#passOn(req, socket, head)
    else {
      afterEarlierAnswers(socket, () => {
        if (owner === "nobody's") serveAsOrdinary(this.#server, req, socket, head)
        else this.#routeThroughApp(req, socket, head, owner)
      })
    }
  }

  #ownerOf(req: IncomingMessage): Owner {
    const hasOthers = this.#server.listeners('upgrade').some((one) => one !== listener)
    if (!isWebSocketRequest(req)) return hasOthers ? 'theirs' : "nobody's"
    if (!hasOthers) return 'ours'
    const path = pathOf(req.url)
    const outermost = this.#server.listeners('request')
    const answers = Array.from(this.#mounts, (mounts) => mounts.leadsHere(path, outermost))
    if (answers.includes(true)) return 'ours'
    return answers.includes(null) ? 'ours or theirs' : 'theirs'
  }

  #routeThroughApp(req: IncomingMessage, socket: Duplex, head: Buffer, owner: Owner): void {
    const notOurs = owner === 'ours' ? null : () => this.#passOn(req, socket, head)
    const { response } = new PendingUpgrade(req, { socket, head }, this.#server, notOurs)
    this.#server.emit('request', req, response)
  }

  #passOn(req: IncomingMessage, socket: Duplex, head: Buffer): void {
    Reflect.apply(this.#emit, this.#server, ['upgrade', req, socket, head])
    // If no listener takes the socket, an error on it would have no handler, and would end the process.
    if (socket.listenerCount('error') === 0) socket.on('error', () => socket.destroy())
  }
}

const servers = new WeakMap<AttachableServer, Upgrades>()

/** The property that newer versions of Node have. It is missing from the types of older versions. */
interface HasShouldUpgrade {
  shouldUpgradeCallback?: (req: IncomingMessage) => boolean
}

/** It is never called, because our `emit` handles the event before the listeners. */
function listener(): void {}

/** Whether it is a WebSocket request by the rules of `ws`, and has no body: the bytes that follow are frames. */
export function isWebSocketRequest({ method, headers }: IncomingMessage): boolean {
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
  return method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket' && !hasBody
}
