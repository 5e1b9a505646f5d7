import type { EventEmitter } from 'node:events'
import type { IncomingMessage, Server as HttpServer } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import type { Duplex } from 'node:stream'
import { afterEarlierAnswers } from './earlierAnswers.ts'
import { pathOf, type Mounts } from './mounts.ts'
import { serveAsOrdinary } from './ordinary.ts'
import { PendingUpgrade } from './pendingUpgrade.ts'

export type AttachableServer = HttpServer | HttpsServer

/** Whose an upgrade request is. */
type Owner =
  /** A WebSocket for a path of ours, or one that nobody else would take: the application's middleware decides. */
  | 'ours'
  /** Only the application can say, and somebody else is waiting for it. */
  | 'ours or theirs'
  | 'theirs'
  /** Nobody here upgrades to what it asks for, so it is a request like any other. */
  | "nobody's"

/**
 * The upgrade requests of one HTTP server. Node shows every one to all who listen, and most of them answer those that
 * they don't know; so what is ours is seen by nobody else, and of everything else we keep our hands off.
 */
export class Upgrades {
  readonly #server: AttachableServer
  readonly #emit: AttachableServer['emit']
  readonly #mounts = new Set<Mounts>()
  readonly #undo: (() => void)[] = []

  /** One for each server, for all its broadcasters. */
  static of(server: AttachableServer): Upgrades {
    let upgrades = servers.get(server)
    if (upgrades === undefined) servers.set(server, (upgrades = new Upgrades(server)))
    return upgrades
  }

  private constructor(server: AttachableServer) {
    this.#server = server
    this.#emit = server.emit
    this.#seeFirst(server, server.emit)
    // Without a listener Node does not take any request for an upgrade.
    server.on('upgrade', listener)
    this.#undo.push(() => server.off('upgrade', listener))
    this.#decideBeforehand(server)
  }

  /** Returns whether it is new. */
  add(mounts: Mounts): boolean {
    if (this.#mounts.has(mounts)) return false
    this.#mounts.add(mounts)
    return true
  }

  /** With the last one, the server is again as it was. */
  remove(mounts: Mounts): void {
    if (!this.#mounts.delete(mounts) || this.#mounts.size > 0) return
    servers.delete(this.#server)
    for (const undo of this.#undo) undo()
  }

  /** A listener can't keep an event from the others. */
  #seeFirst(server: EventEmitter, emit: EventEmitter['emit']): void {
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
      // Somebody else may have wrapped ours meanwhile: then it stays, and passes everything on.
      isActive = false
      if (server.emit !== ours) return
      if (hasOwn) server.emit = emit
      else Reflect.deleteProperty(server, 'emit')
    })
  }

  /** Newer versions of Node ask for each request whether it is to be taken for an upgrade. */
  #decideBeforehand(server: AttachableServer & Deciding): void {
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
    if (owner === 'theirs') this.#giveAway(req, socket, head)
    else {
      afterEarlierAnswers(socket, () => {
        if (owner === "nobody's") serveAsOrdinary(this.#server, req, socket, head)
        else this.#lead(req, socket, head, owner)
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

  #lead(req: IncomingMessage, socket: Duplex, head: Buffer, owner: Owner): void {
    const notOurs = owner === 'ours' ? null : () => this.#giveAway(req, socket, head)
    const { response } = new PendingUpgrade(req, { socket, head }, notOurs)
    this.#server.emit('request', req, response)
  }

  #giveAway(req: IncomingMessage, socket: Duplex, head: Buffer): void {
    Reflect.apply(this.#emit, this.#server, ['upgrade', req, socket, head])
    // Whoever lets it lie has left its errors to nobody, and that would be the end of the process.
    if (socket.listenerCount('error') === 0) socket.on('error', () => socket.destroy())
  }
}

const servers = new WeakMap<AttachableServer, Upgrades>()

/** What newer versions of Node have, and the types of older ones leave out. */
interface Deciding {
  shouldUpgradeCallback?: (req: IncomingMessage) => boolean
}

/** Never called by the server, whose events we see before its listeners. */
function listener(): void {}

/** As `ws` sees it, and without a body: what follows is frames. */
export function isWebSocketRequest({ method, headers }: IncomingMessage): boolean {
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
  return method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket' && !hasBody
}
