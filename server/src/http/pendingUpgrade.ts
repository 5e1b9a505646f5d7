import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Writable, type Duplex } from 'node:stream'
import { holdEarlyData } from './earlyData.ts'
import { responseClassOf } from './requestClasses.ts'

/** The arguments for the handshake of a WebSocket server. */
export interface Handshake {
  readonly socket: Duplex
  readonly head: Buffer
}

/** Shared by all broadcasters of the process, because the request may reach any of them. */
const pending = new WeakMap<IncomingMessage, PendingUpgrade>()

/** A WebSocket request while it passes through the application's middleware. */
export class PendingUpgrade {
  readonly #req: IncomingMessage
  readonly #handshake: Handshake
  readonly #response: ServerResponse
  readonly #putBackEarlyData: () => void
  /** Receives the output of middleware while it must not reach the client; `null` otherwise. */
  #discarded: DiscardedOutput | null = null
  #onGone: (() => void) | null = null
  #deadline: NodeJS.Timeout | undefined

  /**
   * @param server The server of the request. The response is of the class that it uses.
   * @param notOurs Set if the request may belong to another listener of the server. The output of middleware is
   * discarded then. `notOurs` is called if the request does not reach a broadcaster: when the application has answered
   * it, or has not answered for some time.
   */
  constructor(req: IncomingMessage, handshake: Handshake, server: object, notOurs: (() => void) | null) {
    this.#req = req
    this.#handshake = handshake
    this.#response = new (responseClassOf(server))(req)
    this.#response.shouldKeepAlive = false
    pending.set(req, this)
    // Nobody else handles the errors of the socket while middleware runs.
    handshake.socket.on('error', destroy)
    this.#putBackEarlyData = holdEarlyData(handshake.socket)
    if (notOurs === null) this.#answerTo(handshake.socket)
    else this.#discardAnswers(notOurs)
  }

  /** The pending upgrade of a request, if it came by a server's `upgrade` event. */
  static of(req: IncomingMessage): PendingUpgrade | undefined {
    return pending.get(req)
  }

  get response(): ServerResponse {
    return this.#response
  }

  /** The request has reached a broadcaster. From now on answers go to the client. */
  claim(): void {
    if (this.#discarded === null) return
    this.#response.detachSocket(this.#discarded as unknown as Socket)
    this.#stopWaiting()
    this.#answerTo(this.#handshake.socket)
  }

  /** Returns the socket for the handshake; `null` if the request has already been answered. */
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
    // The socket is destroyed as if the client had left. Middleware that answers later must not find an answer already
    // sent.
    this.#deadline = setTimeout(() => {
      if (!this.#response.headersSent) socket.destroy()
    }, HANDSHAKE_MS)
    socket.once('close', this.#onClose)
    this.#response.assignSocket(socket as Socket)
  }

  #discardAnswers(notOurs: () => void): void {
    const { socket } = this.#handshake
    const { url } = this.#req
    const discarded = new DiscardedOutput()
    this.#discarded = discarded
    // Closing is forwarded in both directions: when middleware destroys the response, or when the client closes its
    // connection.
    this.#onGone = () => discarded.destroy()
    socket.once('close', this.#onGone)
    discarded.once('close', () => {
      if (this.#discarded === null) return
      this.#stopWaiting()
      socket.destroy()
    })
    const giveUp = () => {
      if (this.#discarded === null) return
      this.#stopWaiting()
      pending.delete(this.#req)
      if (socket.destroyed) return
      socket.off('error', destroy)
      this.#putBackEarlyData()
      // Express restores these properties only when no handler has answered the request.
      Object.assign(this.#req, { url, baseUrl: '', params: undefined })
      notOurs()
    }
    this.#response.once('finish', giveUp)
    // A proxy among the middleware may never answer: its target has upgraded the request instead of answering it. The
    // proxy's own `upgrade` listener has not been called yet.
    this.#deadline = setTimeout(giveUp, NO_ANSWER_MS)
    this.#response.assignSocket(discarded as unknown as Socket)
  }

  readonly #onClose = () => clearTimeout(this.#deadline)

  #stopWaiting(): void {
    clearTimeout(this.#deadline)
    this.#discarded = null
    this.#handshake.socket.off('close', this.#onGone!)
    this.#onGone = null
  }
}

const NO_ANSWER_MS = 3_000
/** The maximum time for the middleware to handle a handshake, in ms. Clients have given up by then. */
const HANDSHAKE_MS = 10_000
/** The maximum time for a client to read a refusal, in ms. It is the only thing that the client has to read. */
const READING_MS = 5_000

/** Takes the place of a connection, and discards what is written to it. */
class DiscardedOutput extends Writable {
  override _write(_chunk: unknown, _encoding: string, done: () => void): void {
    done()
  }

  /** A response calls this on its socket. */
  setTimeout(): this {
    return this
  }
}

// These are functions without a closure, because a closure would keep the request in memory for the life of the socket.
function destroy(this: Duplex): void {
  this.destroy()
}

/** Limits the time for a client that does not read its answer. */
function limitReading(this: ServerResponse): void {
  const { socket } = this
  setTimeout(() => socket?.destroy(), READING_MS).unref()
}

/** Ends the socket as Node does after a last answer, even if the other side keeps its half open. */
function endSocket(this: ServerResponse): void {
  const { socket } = this
  socket?.end(() => socket.destroy())
}
