import { ServerResponse, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { Writable, type Duplex } from 'node:stream'
import { holdEarlyData } from './earlyData.ts'

/** What is handed to a WebSocket server. */
export interface Handshake {
  readonly socket: Duplex
  readonly head: Buffer
}

/** Shared by all broadcasters of the process: the request comes out at the one that is mounted on its way. */
const pending = new WeakMap<IncomingMessage, PendingUpgrade>()

/** A WebSocket request on its way through the application's middleware. */
export class PendingUpgrade {
  readonly #req: IncomingMessage
  readonly #handshake: Handshake
  readonly #response: ServerResponse
  readonly #putBackEarlyData: () => void
  /** Where what middleware answers goes, while it is not for the client. */
  #unheard: Unheard | null = null
  #onGone: (() => void) | null = null
  #deadline: NodeJS.Timeout | undefined

  /**
   * @param notOurs If the request may be somebody else's: what middleware says of it is not heard then, and this is called
   *   when the application has answered it, or said nothing for a while, without its coming out at us.
   */
  constructor(req: IncomingMessage, handshake: Handshake, notOurs: (() => void) | null) {
    this.#req = req
    this.#handshake = handshake
    this.#response = new ServerResponse(req)
    this.#response.shouldKeepAlive = false
    pending.set(req, this)
    // The socket has nobody else to take its errors while middleware is at work.
    handshake.socket.on('error', destroy)
    this.#putBackEarlyData = holdEarlyData(handshake.socket)
    if (notOurs === null) this.#answerTo(handshake.socket)
    else this.#answerToNobody(notOurs)
  }

  /** The one that this request is, if it came by a server's `upgrade` event. */
  static of(req: IncomingMessage): PendingUpgrade | undefined {
    return pending.get(req)
  }

  get response(): ServerResponse {
    return this.#response
  }

  /** It has come out at us: from now on it is us who answer. */
  claim(): void {
    if (this.#unheard === null) return
    this.#response.detachSocket(this.#unheard as unknown as Socket)
    this.#stopWaiting()
    this.#answerTo(this.#handshake.socket)
  }

  /** Gives the socket up for the handshake, unless it has an answer already. */
  release(): Handshake | null {
    if (this.#response.headersSent) {
      this.#response.end()
      return null
    }
    pending.delete(this.#req)
    this.#response.detachSocket(this.#handshake.socket as Socket)
    this.#handshake.socket.off('error', destroy).off('close', this.#onClose)
    clearTimeout(this.#deadline)
    this.#putBackEarlyData()
    return this.#handshake
  }

  #answerTo(socket: Duplex): void {
    this.#response.on('prefinish', limitReading).on('finish', endSocket)
    // As if the client had left: middleware that answers after all must not find an answer there.
    this.#deadline = setTimeout(() => {
      if (!this.#response.headersSent) socket.destroy()
    }, HANDSHAKE_MS)
    socket.once('close', this.#onClose)
    this.#response.assignSocket(socket as Socket)
  }

  #answerToNobody(notOurs: () => void): void {
    const { socket } = this.#handshake
    const { url } = this.#req
    const unheard = new Unheard()
    this.#unheard = unheard
    // What middleware does to its response, or the client to its connection, happens to both.
    this.#onGone = () => unheard.destroy()
    socket.once('close', this.#onGone)
    unheard.once('close', () => {
      if (this.#unheard === null) return
      this.#stopWaiting()
      socket.destroy()
    })
    const giveUp = () => {
      if (this.#unheard === null) return
      this.#stopWaiting()
      pending.delete(this.#req)
      if (socket.destroyed) return
      socket.off('error', destroy)
      this.#putBackEarlyData()
      // Express puts a request back into its first shape only where nobody has answered it.
      Object.assign(this.#req, { url, baseUrl: '', params: undefined })
      notOurs()
    }
    this.#response.once('finish', giveUp)
    // A proxy among the middleware may wait for ever: what it proxies has upgraded, and its own turn is still to come.
    this.#deadline = setTimeout(giveUp, SILENCE_MS)
    this.#response.assignSocket(unheard as unknown as Socket)
  }

  readonly #onClose = () => clearTimeout(this.#deadline)

  #stopWaiting(): void {
    clearTimeout(this.#deadline)
    this.#unheard = null
    this.#handshake.socket.off('close', this.#onGone!)
    this.#onGone = null
  }
}

const SILENCE_MS = 3_000
/** How long middleware may think of a handshake, in ms. Clients have given up by then. */
const HANDSHAKE_MS = 10_000
/** How long a client may take for a refusal, in ms: it has nothing else to read. */
const READING_MS = 5_000

/** In the place of a connection: what is written to it is gone. */
class Unheard extends Writable {
  override _write(_chunk: unknown, _encoding: string, done: () => void): void {
    done()
  }

  /** Responses pass on theirs. */
  setTimeout(): this {
    return this
  }
}

// Not closures: they would keep the request for as long as the socket lives.
function destroy(this: Duplex): void {
  this.destroy()
}

/** Also of one that reads nothing. */
function limitReading(this: ServerResponse): void {
  const { socket } = this
  setTimeout(() => socket?.destroy(), READING_MS).unref()
}

/** As Node does it after a last answer: also where the other side keeps the connection open. */
function endSocket(this: ServerResponse): void {
  const { socket } = this
  socket?.end(() => socket.destroy())
}
