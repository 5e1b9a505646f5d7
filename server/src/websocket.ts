import type { Request } from 'express'
import type { Socket } from 'node:net'
import type WebSocket from 'ws'
import { setTimeout as delay } from 'node:timers/promises'
import { Connection, type Authenticate, type ConnectionHost, type Link } from './connection.ts'
import { isMatch } from './match.ts'

export interface WebSocketHost extends ConnectionHost {
  authenticate(auth: Record<string, unknown>, req: Request): ReturnType<Authenticate>
}

/** How long a client takes to move: its reconnection is spread over a second. */
const MOVING_MS = 2000
const DRAIN_STEP_MS = 100

/** All WebSocket connections of this node, and the sweep that finds the dead ones. */
export class WebSockets {
  readonly #host: WebSocketHost
  readonly #links = new Map<Connection, WebSocketLink>()
  /** The newest connection of each client that gave itself a name. */
  readonly #clients = new Map<string, Connection>()
  readonly #sweeper: NodeJS.Timeout

  /** A connection from which nothing came for two intervals is dropped. */
  constructor(host: WebSocketHost, pingIntervalMs: number) {
    this.#host = host
    this.#sweeper = setInterval(() => this.#sweep(), pingIntervalMs)
    this.#sweeper.unref()
  }

  get size(): number {
    return this.#links.size
  }

  /** Those that have authenticated, and count as connections. */
  get authenticated(): number {
    let count = 0
    for (const connection of this.#links.keys()) if (connection.isOpen) count += 1
    return count
  }

  get lagging(): number {
    let count = 0
    for (const connection of this.#links.keys()) if (connection.isLagging) count += 1
    return count
  }

  /** The client's newest connection is this one. */
  register(client: string, connection: Connection): void {
    this.replace(client, connection.generation)
    this.#clients.set(client, connection)
  }

  /** A connection of the client with a lower generation ends. */
  replace(client: string, generation: number): void {
    const older = this.#clients.get(client)
    if (older !== undefined && older.generation < generation) older.close('replaced')
  }

  /** Calls `act` with every connection whose context has everything that `match` has. */
  forEach(match: unknown, act: (connection: Connection) => void): void {
    for (const connection of [...this.#links.keys()]) {
      if (connection.isOpen && isMatch(match, connection.context)) act(connection)
    }
  }

  accept(ws: WebSocket, req: Request): void {
    // Our frames go to the socket itself, many messages in one write; `ws` writes no data frames, so none come between.
    const link = new WebSocketLink(ws, req.socket)
    const connection = new Connection(this.#host, link, (auth) => this.#host.authenticate(auth, req))
    this.#links.set(connection, link)
    ws.on('message', (data: WebSocket.RawData) => {
      link.isAlive = true
      connection.receive(asText(data))
    })
    ws.on('pong', () => (link.isAlive = true))
    ws.on('close', () => {
      connection.ended()
      this.#links.delete(connection)
      const { client } = connection
      if (client !== null && this.#clients.get(client) === connection) this.#clients.delete(client)
    })
    // A frame that breaks the protocol, or is too large: `ws` has closed with the right code.
    ws.on('error', () => {})
  }

  /** Asks all clients to move to another node, one after the other in no order, over `ms`. */
  async drain(ms: number): Promise<void> {
    const connections = [...this.#links.keys()].sort(() => Math.random() - 0.5)
    const steps = Math.max(1, Math.ceil(ms / DRAIN_STEP_MS))
    const perStep = Math.ceil(connections.length / steps)
    for (let i = 0; i < connections.length; i += perStep) {
      for (const connection of connections.slice(i, i + perStep)) connection.close('restart')
      await delay(DRAIN_STEP_MS)
    }
    // Until they have come to another node, and that has asked for what it doesn't have.
    await delay(Math.min(ms, MOVING_MS))
  }

  /** Closes everything. */
  stop(): void {
    clearInterval(this.#sweeper)
    for (const connection of [...this.#links.keys()]) connection.close('goingAway')
  }

  #sweep(): void {
    for (const link of this.#links.values()) link.ping()
  }
}

class WebSocketLink implements Link {
  isAlive = true
  readonly #ws: WebSocket
  readonly #socket: Socket
  #isAwaitingDrain = false

  constructor(ws: WebSocket, socket: Socket) {
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

function asText(data: WebSocket.RawData | string): string {
  // `ws` 7, which express-ws brings, gives text as a string.
  if (typeof data === 'string') return data
  return Array.isArray(data) ? Buffer.concat(data).toString() : Buffer.from(data as Buffer).toString()
}
