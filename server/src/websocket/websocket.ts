import type { Request } from 'express'
import type { Socket } from 'node:net'
import type WebSocket from 'ws'
import type { Authenticate } from '../clients/access.ts'
import type { Address } from '../clients/addresses.ts'
import type { Refusal } from '../clients/refusals.ts'
import type { Connection } from './connection.ts'
import type { Link } from './link.ts'
import type { Node } from '../node.ts'

/** How often is looked for clients that leave a close unanswered, in ms. `ws` itself would wait for 30 s. */
const CLOSE_SWEEP_MS = 2500

/** The WebSocket transport: sockets that the handshake has made, and the sweeps that find the dead ones. */
export class WebSockets {
  readonly #node: Node
  readonly #links = new Map<WebSocket, WebSocketLink>()
  readonly #sweeper: NodeJS.Timeout
  readonly #closeSweeper: NodeJS.Timeout
  #isStopped = false
  // Shared by all sockets: one of each for every connection would be most of what an idle one costs.
  readonly #onMessage: (this: WebSocket, data: WebSocket.RawData) => void
  readonly #onSign: (this: WebSocket) => void
  readonly #onError: (this: WebSocket, error: Error) => void
  readonly #onClose: (this: WebSocket) => void

  /** A connection from which no whole frame came for two intervals is dropped. */
  constructor(node: Node, pingIntervalMs: number) {
    this.#node = node
    const links = this.#links
    const { requests, addresses, refusals } = node.admission
    /** A frame has come. False if it is one too many. */
    const isWithinRate = (link: WebSocketLink): boolean => {
      link.isHeard = true
      const fullAt = requests.take(link.fullAt)
      if (fullAt !== null) link.fullAt = fullAt
      else if (!link.connection.isClosed) {
        addresses.fine(link.address)
        refusals.note(TOO_MANY_FRAMES, { address: link.address.key })
        link.connection.close('tooManyRequests')
      }
      return fullAt !== null
    }
    this.#onMessage = function (data) {
      const link = links.get(this)!
      if (isWithinRate(link)) link.connection.receive(asText(data))
    }
    this.#onSign = function () {
      isWithinRate(links.get(this)!)
    }
    this.#onError = function (error) {
      const { address } = links.get(this)!
      refusals.note(isTooLarge(error) ? TOO_LARGE_FRAME : BROKEN_FRAME, { address: address.key })
    }
    this.#onClose = function () {
      const { connection, address } = links.get(this)!
      links.delete(this)
      addresses.leave(address)
      node.gone(connection)
    }
    this.#sweeper = setInterval(() => this.#sweep(), pingIntervalMs)
    this.#sweeper.unref()
    this.#closeSweeper = setInterval(() => this.#sweepClosing(), CLOSE_SWEEP_MS)
    this.#closeSweeper.unref()
  }

  accept(ws: WebSocket, req: Request): void {
    const { addresses } = this.#node.admission
    const address = addresses.of(req)
    // There was room for it when its request was let through, a moment ago.
    addresses.enter(address)
    const link = new WebSocketLink(ws, req.socket, address, takesSharedCompression(ws, req))
    link.connection = this.#node.connect(link, authenticateWith(this.#node, req))
    this.#links.set(ws, link)
    ws.on('message', this.#onMessage)
    ws.on('ping', this.#onSign)
    ws.on('pong', this.#onSign)
    ws.on('error', this.#onError)
    ws.on('close', this.#onClose)
  }

  stop(): void {
    clearInterval(this.#sweeper)
    // Not the other: it is now that most of them are closing.
    this.#isStopped = true
  }

  #sweep(): void {
    for (const link of this.#links.values()) link.ping()
  }

  #sweepClosing(): void {
    for (const link of this.#links.values()) link.endIfClosing()
    if (this.#isStopped && this.#links.size === 0) clearInterval(this.#closeSweeper)
  }
}

/** In a function of its own: the request lives for as long as this closure, which the connection lets go. */
function authenticateWith(node: Node, req: Request): Authenticate {
  return (auth) => node.access.connect(auth, req)
}

// `ws` has closed with the right code.
const TOO_LARGE_FRAME: Refusal = { kind: 'limit', reason: 'limits.messageBytes: the frame is too large' }
const BROKEN_FRAME: Refusal = { kind: 'frame', reason: 'The frame breaks the WebSocket protocol' }
const TOO_MANY_FRAMES: Refusal = {
  kind: 'limit',
  reason: 'limits.requestsPerSecond: too many frames of one connection',
}

function isTooLarge(error: Error & { code?: string }): boolean {
  return error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH' || error.message.startsWith('Max payload size')
}

/** Our frames go to the socket itself, many in one write; `ws` writes no data frames, so none come between. */
class WebSocketLink implements Link {
  connection!: Connection
  /** Whether a frame has come since the last ping: all of one, since bits of one may come for ever. */
  isHeard = true
  readonly isCompressing: boolean
  readonly address: Address
  /** When the client's bucket for requests is full again. */
  fullAt = 0
  readonly #ws: WebSocket
  readonly #socket: Socket
  #isAwaitingDrain = false
  /** `null` while the client is read from. */
  #readOn: (() => void) | null = null
  /** What had left for the client at the last ping, in bytes. */
  #sentAtPing = -1
  #wasClosing = false

  constructor(ws: WebSocket, socket: Socket, address: Address, isCompressing: boolean) {
    this.#ws = ws
    this.address = address
    this.#socket = socket
    this.isCompressing = isCompressing
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength
  }

  get sentBytes(): number {
    return this.#socket.bytesWritten - this.#socket.writableLength
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

  pause(): void {
    if (this.#readOn !== null) return
    // `ws` reads on by itself when it has inflated what it had; once it is closing, nobody is to keep it from the end.
    const stay = () => {
      if (this.#ws.readyState === OPEN) this.#socket.pause()
    }
    this.#readOn = () => this.#socket.off('resume', stay).resume()
    this.#socket.pause().on('resume', stay)
  }

  resume(): void {
    if (this.#readOn === null) return
    this.#readOn()
    this.#readOn = null
    // Nobody has listened until now.
    this.isHeard = true
  }

  close(code: number, reason: string): void {
    this.#ws.close(code, reason)
  }

  terminate(): void {
    this.#ws.terminate()
  }

  /** Ends the connection instead, if nothing has come since the last one: not even the answer to it. */
  ping(): void {
    if (!this.isHeard && !this.#isReading()) return this.#ws.terminate()
    this.isHeard = false
    if (this.#ws.readyState === OPEN) this.#ws.ping()
  }

  /** Whether a client that is not read from is there: it has taken what was written at once, or has nothing to take. */
  #isReading(): boolean {
    if (this.#readOn === null) return false
    const isReading = this.sentBytes !== this.#sentAtPing || this.bufferedBytes === 0
    this.#sentAtPing = this.sentBytes
    return isReading
  }

  /** Ends the connection if it was closing the last time already, whoever has closed it and why. */
  endIfClosing(): void {
    const isClosing = this.#ws.readyState === CLOSING
    if (isClosing && this.#wasClosing) this.#ws.terminate()
    this.#wasClosing = isClosing
  }
}

const OPEN = 1
const CLOSING = 2
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
