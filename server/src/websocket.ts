import type { Request } from 'express'
import type { Socket } from 'node:net'
import type WebSocket from 'ws'
import type { Link } from './connection.ts'
import type { Node } from './node.ts'

/** The WebSocket transport: sockets that the handshake has made, and the sweep that finds the dead ones. */
export class WebSockets {
  readonly #node: Node
  readonly #links = new Set<WebSocketLink>()
  readonly #sweeper: NodeJS.Timeout

  /** A connection from which nothing came for two intervals is dropped. */
  constructor(node: Node, pingIntervalMs: number) {
    this.#node = node
    this.#sweeper = setInterval(() => this.#sweep(), pingIntervalMs)
    this.#sweeper.unref()
  }

  accept(ws: WebSocket, req: Request): void {
    // Our frames go to the socket itself, many messages in one write; `ws` writes no data frames, so none come between.
    const link = new WebSocketLink(ws, req.socket, takesSharedCompression(ws, req))
    const connection = this.#node.connect(link, (auth) => this.#node.access.connect(auth, req))
    this.#links.add(link)
    ws.on('message', (data: WebSocket.RawData) => {
      link.isAlive = true
      connection.receive(asText(data))
    })
    ws.on('pong', () => (link.isAlive = true))
    ws.on('close', () => {
      connection.ended()
      this.#links.delete(link)
    })
    // A frame that breaks the protocol, or is too large: `ws` has closed with the right code.
    ws.on('error', () => {})
  }

  stop(): void {
    clearInterval(this.#sweeper)
  }

  #sweep(): void {
    for (const link of this.#links) link.ping()
  }
}

class WebSocketLink implements Link {
  isAlive = true
  readonly isCompressing: boolean
  readonly #ws: WebSocket
  readonly #socket: Socket
  #isAwaitingDrain = false

  constructor(ws: WebSocket, socket: Socket, isCompressing: boolean) {
    this.isCompressing = isCompressing
    this.#ws = ws
    this.#socket = socket
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength
  }

  write(frames: Buffer): void {
    if (this.#ws.readyState === OPEN) this.#socket.write(frames)
  }

  onDrained(callback: () => void): void {
    if (this.#isAwaitingDrain) return
    this.#isAwaitingDrain = true
    // Called when everything before it has left. 'drain' would not do: it only comes after a write that was told to wait.
    this.#socket.write(NOTHING, () => {
      this.#isAwaitingDrain = false
      callback()
    })
  }

  close(code: number, reason: string): void {
    this.#ws.close(code, reason)
  }

  ping(): void {
    if (!this.isAlive) return this.#ws.terminate()
    this.isAlive = false
    if (this.#ws.readyState === OPEN) this.#ws.ping()
  }
}

const OPEN = 1
const NOTHING = Buffer.alloc(0)

/** Negotiated, and without a demand for a smaller window, which the frames that all share don't have. */
function takesSharedCompression(ws: WebSocket, req: Request): boolean {
  if (!ws.extensions.includes('permessage-deflate')) return false
  return req.headers['sec-websocket-extensions']?.includes('server_max_window_bits') !== true
}

function asText(data: WebSocket.RawData | string): string {
  // `ws` 7, which express-ws brings, gives text as a string.
  if (typeof data === 'string') return data
  return Array.isArray(data) ? Buffer.concat(data).toString() : Buffer.from(data as Buffer).toString()
}
