import type { WebSocketLike } from '@broadcaster/client'
import type { Connection } from '../../server/src/websocket/connection.ts'
import type { Attached, SimulatedNode } from './cluster.ts'
import { SimulatedLink, type Written } from './link.ts'
import { Pipe } from './pipe.ts'
import { short } from './trace.ts'
import { delayMs, type World } from './world.ts'

/** The path from a client to the nodes. */
export interface Route {
  /** The name of the client. */
  readonly name: string
  /** What a proxy does with WebSockets. */
  webSockets: 'through' | 'refused' | 'swallowed'
  /** The node for the next connection or request, or `null` if there is none. */
  pick(): SimulatedNode | null
  /** The open sockets of all clients. */
  readonly sockets: Set<SimulatedSocket>
}

/** The time until TCP notices that the other end is gone. Clients with a heartbeat notice it earlier. */
const UNNOTICED_MS = 20_000

/** A client's WebSocket to a node. */
export class SimulatedSocket implements WebSocketLike, Attached {
  onopen: WebSocketLike['onopen'] = null
  onmessage: WebSocketLike['onmessage'] = null
  onerror: WebSocketLike['onerror'] = null
  onclose: WebSocketLike['onclose'] = null
  readonly link: SimulatedLink
  readonly #world: World
  readonly #route: Route
  readonly #toServer: Pipe<string | null>
  readonly #toClient: Pipe<Written>
  #node: SimulatedNode | null = null
  #connection: Connection | null = null
  #isCut = false
  #serverIsOver = false
  #clientIsOver = false

  constructor(world: World, route: Route) {
    this.#world = world
    this.#route = route
    const delay = (): number => delayMs(world)
    this.#toServer = new Pipe(delay, (items) => this.#arriveAtServer(items))
    this.#toClient = new Pipe(delay, (items) => this.#arriveAtClient(items))
    this.link = new SimulatedLink(world, (item) => {
      if (!this.#isCut) this.#toClient.send(item)
    })
    setTimeout(() => this.#arrive(), delay())
  }

  // -- for the client

  send(data: string): void {
    if (this.#clientIsOver) return
    this.#world.trace?.add(this.#route.name, `→ ${short(data)}`)
    if (!this.#isCut) this.#toServer.send(data)
  }

  close(): void {
    if (this.#connection === null) this.#endClient(1006, delayMs(this.#world))
    else if (!this.#isCut) this.#toServer.send(null)
  }

  // -- faults

  nodeDied(): void {
    this.#serverIsOver = true
    this.cut()
  }

  /** Breaks the connection. Everything in flight is lost. Each end notices it some time later. */
  cut(): void {
    if (this.#isCut) return
    const { random, conditions, trace } = this.#world
    const isSilent = random.chance(conditions.silently)
    trace?.add(this.#route.name, `the WebSocket breaks${isSilent ? ', silently' : ''}`)
    this.#isCut = true
    this.#toServer.clear()
    this.#toClient.clear()
    this.#route.sockets.delete(this)
    this.#endClient(1006, isSilent ? UNNOTICED_MS : random.between(0, 100))
    const noticedMs = random.chance(0.3) ? random.between(1000, 20_000) : random.between(0, 100)
    setTimeout(() => this.#endServer(), noticedMs)
  }

  /** The client does not read for this time. */
  stall(ms: number): void {
    this.#world.trace?.add(this.#route.name, `does not read for ${ms} ms`)
    this.link.stall(ms)
  }

  // -- between them

  #arrive(): void {
    if (this.#clientIsOver) return
    const { name, webSockets, sockets } = this.#route
    const node = webSockets === 'through' ? this.#route.pick() : null
    this.#connection = node?.connect(this.link) ?? null
    if (node === null || this.#connection === null) {
      if (webSockets !== 'swallowed') this.#endClient(1006, delayMs(this.#world))
      return
    }
    this.#node = node
    node.attached.add(this)
    sockets.add(this)
    this.#world.trace?.add(name, `has a WebSocket to ${node.name}`)
    // `onopen` runs in its own timer, like the event of a real WebSocket, and before anything arrives through the pipe.
    setTimeout(() => {
      if (!this.#clientIsOver) this.onopen?.({})
    })
  }

  #arriveAtServer(items: readonly (string | null)[]): void {
    for (const item of items) {
      if (this.#serverIsOver) return
      if (item === null) {
        this.#endServer()
        this.#endClient(1005, delayMs(this.#world))
      } else {
        this.#connection!.receive(item)
      }
    }
  }

  #arriveAtClient(items: readonly Written[]): void {
    for (const item of items) {
      if (this.#clientIsOver) return
      if ('code' in item) {
        this.#closeClient(item.code, item.reason)
        setTimeout(() => this.#endServer(), delayMs(this.#world))
        return
      }
      for (const text of texts(item.frames)) {
        this.#world.trace?.add(this.#route.name, `← ${short(text)}`)
        this.onmessage?.({ data: text })
      }
    }
  }

  #endClient(code: number, afterMs: number): void {
    setTimeout(() => this.#closeClient(code, ''), afterMs)
  }

  #closeClient(code: number, reason: string): void {
    if (this.#clientIsOver) return
    this.#clientIsOver = true
    this.#world.trace?.add(this.#route.name, `← closed: ${code} ${reason}`)
    this.onclose?.({ code, reason })
  }

  #endServer(): void {
    if (this.#serverIsOver) return
    this.#serverIsOver = true
    this.#route.sockets.delete(this)
    this.#node?.attached.delete(this)
    this.link.end()
    if (this.#connection !== null) this.#node?.gone(this.#connection)
  }
}

/** The texts of unmasked and unfragmented frames. */
function* texts(frames: Buffer): Iterable<string> {
  for (let at = 0; at < frames.length;) {
    const lengthByte = frames[at + 1]!
    const length =
      lengthByte < 126
        ? lengthByte
        : lengthByte === 126
          ? frames.readUInt16BE(at + 2)
          : frames.readUInt32BE(at + 6)
    const start = at + (lengthByte < 126 ? 2 : lengthByte === 126 ? 4 : 10)
    at = start + length
    yield frames.toString('utf8', start, at)
  }
}
