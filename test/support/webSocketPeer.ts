import { WebSocket, type ClientOptions } from 'ws'
import { onTestFinished } from 'vitest'
import type { Wire } from './inbox.ts'
import { Peer } from './peer.ts'
import type { Subject } from './subject.ts'
import { within } from './waiting.ts'

export type Closed = { readonly code: number; readonly reason: string }

/** A raw WebSocket. It sends no pings and does not reconnect. It is closed at the end of the test. */
export class WebSocketPeer extends Peer {
  readonly transport = 'websocket'
  readonly socket: WebSocket
  /** The close code and reason. The code is 1006 if there was no close frame. */
  readonly closed: Promise<Closed>
  /** The data of the first pong frame. */
  readonly pong: Promise<string>

  private constructor(subject: Subject, socket: WebSocket) {
    super(subject)
    this.socket = socket
    socket.on('message', (data, isBinary) => {
      if (isBinary) throw new Error('The server sent a binary frame')
      this.inbox.push(JSON.parse(String(data)) as Wire)
    })
    this.pong = new Promise((resolve) => socket.once('pong', (data) => resolve(String(data))))
    const closed = new Promise<Closed>((resolve) => {
      socket.on('close', (code, reason) => {
        this.inbox.end(`the connection was closed with ${code} ${reason}`)
        resolve({ code, reason: String(reason) })
      })
    })
    this.closed = within(closed, 'the WebSocket to be closed', 60_000)
    // Only tests that use this promise may fail if the connection stays open.
    this.closed.catch(() => {})
  }

  /** Resolves after the handshake. Rejects with `HandshakeRefused` if the server gave another answer. */
  static connect(subject: Subject, options: ClientOptions = {}): Promise<WebSocketPeer> {
    const socket = new WebSocket(subject.url.replace(/^http/, 'ws'), options)
    const peer = new WebSocketPeer(subject, socket)
    onTestFinished(() => socket.terminate())
    const opened = new Promise<WebSocketPeer>((resolve, reject) => {
      socket.on('error', reject)
      socket.on('open', () => resolve(peer))
      socket.on('unexpected-response', (_, response) => {
        let body = ''
        response.on('data', (chunk) => (body += chunk))
        response.on('end', () => reject(new HandshakeRefused(response.statusCode!, response.headers, body)))
      })
    })
    return within(opened, 'the WebSocket handshake')
  }

  /** A `Buffer` is sent as a binary frame. */
  async send(message: object | string | Buffer): Promise<void> {
    const isData = typeof message === 'string' || Buffer.isBuffer(message)
    this.socket.send(isData ? message : JSON.stringify(message))
  }

  next(): Promise<Wire> {
    return this.inbox.take('message')
  }

  /** Stops reading, so that the buffer of the server fills up. */
  stall(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  /** Breaks the connection without a close frame. */
  async drop(): Promise<void> {
    this.socket.terminate()
    await this.closed
  }

  async close(): Promise<void> {
    this.socket.close(1000)
    await this.closed
  }
}

/** The HTTP answer to a WebSocket handshake, if it was not 101. */
export class HandshakeRefused extends Error {
  readonly status: number
  readonly headers: NodeJS.Dict<string | string[]>
  readonly body: string

  constructor(status: number, headers: NodeJS.Dict<string | string[]>, body: string) {
    super(`The WebSocket handshake was answered with ${status} ${body}`)
    this.status = status
    this.headers = headers
    this.body = body
  }
}

/** Makes a handshake that must not succeed, and returns its refusal. */
export async function refusedHandshake(
  subject: Subject,
  options: ClientOptions = {},
): Promise<HandshakeRefused> {
  try {
    await WebSocketPeer.connect(subject, options)
  } catch (error) {
    if (error instanceof HandshakeRefused) return error
    throw error
  }
  throw new Error('The handshake succeeded')
}
