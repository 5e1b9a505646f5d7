import type { Request } from 'express'
import type { Socket } from 'node:net'
import type WebSocket from 'ws'
import type { Access, Authenticate } from '../clients/access.ts'
import type { Address } from '../clients/addresses.ts'
import type { Admission } from '../clients/admission.ts'
import { overLimit, type Refusal } from '../clients/refusals.ts'
import type { Connection } from './connection.ts'
import type { Connections } from './connections.ts'
import type { Link } from './link.ts'

/** The interval at which sockets are ended whose client does not answer a close, in ms. `ws` itself would wait for 30 s. */
const CLOSE_SWEEP_MS = 2500

/** What {@link WebSockets} needs of the node. */
export interface WebSocketNode {
  readonly access: Access
  readonly admission: Admission
  readonly connections: Connections
  /** Called when a WebSocket is open. */
  connect(link: Link, authenticate: Authenticate): Connection
  /** Called when the socket of a connection is gone. */
  gone(connection: Connection): void
}

/** The WebSocket transport: passes the events of sockets to their connections, and ends dead sockets. */
export class WebSockets {
  readonly #node: WebSocketNode
  readonly #sweeper: NodeJS.Timeout
  readonly #closeSweeper: NodeJS.Timeout
  #isStopped = false
  // All sockets share these handlers. A closure per socket would be most of the memory of an idle connection.
  readonly #onMessage: (this: WebSocket, data: WebSocket.RawData) => void
  readonly #onSign: (this: WebSocket) => void
  readonly #onError: (this: WebSocket, error: Error) => void
  readonly #onClose: (this: WebSocket) => void

  /** A connection that sends no complete frame for two intervals is ended. */
  constructor(node: WebSocketNode, pingIntervalMs: number) {
    this.#node = node
    const { requests, addresses, refusals } = node.admission
    /** Counts a received frame. Returns false if the client has sent too many. */
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
      const link = linkOf(this)
      if (isWithinRate(link)) link.connection.receive(asText(data))
    }
    this.#onSign = function () {
      isWithinRate(linkOf(this))
    }
    this.#onError = function (error) {
      const { address } = linkOf(this)
      refusals.note(isTooLarge(error) ? TOO_LARGE_FRAME : BROKEN_FRAME, { address: address.key })
    }
    this.#onClose = function () {
      const { connection, address } = linkOf(this)
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
    // Whether there is room was checked when the upgrade was accepted.
    addresses.enter(address)
    const link = new WebSocketLink(ws, req.socket, address, takesSharedCompression(ws, req))
    link.connection = this.#node.connect(link, authenticateWith(this.#node, req))
    Object.assign(ws, { [LINK]: link })
    ws.on('message', this.#onMessage)
    ws.on('ping', this.#onSign)
    ws.on('pong', this.#onSign)
    ws.on('error', this.#onError)
    ws.on('close', this.#onClose)
  }

  stop(): void {
    clearInterval(this.#sweeper)
    // The other sweep continues, because most sockets are closing now.
    this.#isStopped = true
  }

  #sweep(): void {
    for (const link of this.#node.connections.links) link.ping()
  }

  #sweepClosing(): void {
    const { connections } = this.#node
    for (const link of connections.links) link.endIfClosing()
    if (this.#isStopped && connections.areGone) clearInterval(this.#closeSweeper)
  }
}

/** The link of a socket is a property of the socket, so that the shared handlers find it without a table. */
const LINK = Symbol('link')

function linkOf(ws: WebSocket): WebSocketLink {
  return (ws as WebSocket & { readonly [LINK]: WebSocketLink })[LINK]
}

/** A separate function, so that its closure is the only reference to the request. The connection drops the closure. */
function authenticateWith({ access }: WebSocketNode, req: Request): Authenticate {
  return (auth) => access.connect(auth, req)
}

// `ws` has already closed the connection with the right code.
const TOO_LARGE_FRAME = overLimit('messageBytes', 'the frame is too large')
const BROKEN_FRAME: Refusal = { kind: 'frame', reason: 'The frame breaks the WebSocket protocol' }
const TOO_MANY_FRAMES = overLimit('requestsPerSecond', 'too many frames of one connection')

function isTooLarge(error: Error): boolean {
  // It has a code only since `ws` 7.5. express-ws permits older ones.
  return error.message.startsWith('Max payload size')
}

/** Frames are written directly to the socket, many in one write. `ws` itself writes no data frames in between. */
class WebSocketLink implements Link {
  connection!: Connection
  /** Whether a complete frame was received since the last ping. Parts of one frame may arrive for ever. */
  isHeard = true
  readonly isCompressing: boolean
  readonly address: Address
  /** The time at which the client's token bucket for requests is full again. */
  fullAt = 0
  readonly #ws: WebSocket
  readonly #socket: Socket
  #isAwaitingDrain = false
  /** Resumes reading; `null` while reading is not paused. */
  #unpause: (() => void) | null = null
  /** The value of `sentBytes` at the last ping. */
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

  write(frames: Buffer | string): void {
    if (this.#ws.readyState === OPEN) this.#socket.write(frames, 'latin1')
  }

  onDrained(callback: () => void): void {
    // A closing socket takes no more writes. It calls back at once, although bytes still wait, so who waits for them would call
    // again and again, and the event loop would never get to the end of the connection.
    if (this.#isAwaitingDrain || this.#ws.readyState !== OPEN) return
    this.#isAwaitingDrain = true
    // The callback of a write is called when everything before it has left. The event 'drain' is emitted only after a
    // write over the high-water mark.
    this.#socket.write(NOTHING, (error) => {
      this.#isAwaitingDrain = false
      if (!error) callback()
    })
  }

  pause(): void {
    // `ws` resumes the socket by itself after it has inflated a frame, so it is paused again. A closing socket must be
    // read to its end.
    const stay = () => {
      if (this.#ws.readyState === OPEN) this.#socket.pause()
    }
    this.#unpause = () => this.#socket.off('resume', stay).resume()
    this.#socket.pause().on('resume', stay)
  }

  resume(): void {
    this.#unpause?.()
    this.#unpause = null
    // Frames could not be received until now.
    this.isHeard = true
  }

  close(code: number, reason: string): void {
    this.#ws.close(code, reason)
  }

  terminate(): void {
    this.#ws.terminate()
  }

  ping(): void {
    if (!this.isHeard && !this.#isReading()) return this.#ws.terminate()
    this.isHeard = false
    if (this.#ws.readyState === OPEN) this.#ws.ping()
  }

  /** Whether a paused client is alive: it has received bytes since the last ping, or there are none to receive. */
  #isReading(): boolean {
    if (this.#unpause === null) return false
    const isReading = this.sentBytes !== this.#sentAtPing || this.bufferedBytes === 0
    this.#sentAtPing = this.sentBytes
    return isReading
  }

  endIfClosing(): void {
    const isClosing = this.#ws.readyState === CLOSING
    if (isClosing && this.#wasClosing) this.#ws.terminate()
    this.#wasClosing = isClosing
  }
}

const OPEN = 1
const CLOSING = 2
const NOTHING = Buffer.alloc(0)

/**
 * Whether compression was negotiated, and without a smaller window: the shared frames are compressed with the full window.
 */
function takesSharedCompression(ws: WebSocket, req: Request): boolean {
  if (!ws.extensions.includes('permessage-deflate')) return false
  return req.headers['sec-websocket-extensions']?.includes('server_max_window_bits') !== true
}

function asText(data: WebSocket.RawData | string): string {
  // `ws` 7, the version of express-ws, passes text as a string.
  if (typeof data === 'string') return data
  return Array.isArray(data) ? Buffer.concat(data).toString() : Buffer.from(data as Buffer).toString()
}
