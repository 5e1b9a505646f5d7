import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { Pipe } from '../pipe.ts'
import { delayMs, type World } from '../world.ts'
import { parseCommands } from './resp.ts'
import type { Server } from './server.ts'
import type { ServerConnection } from './serverConnection.ts'

/** What a server sends: bytes, and the message in them if there is one. */
export interface Sent {
  readonly text: string
  readonly message?: { readonly channel: string; readonly body: string }
}

/**
 * The node's end of a TCP connection to a server. It has the methods and events of a `net.Socket` that ioredis uses.
 */
export class SimulatedSocket extends EventEmitter {
  connecting = true
  destroyed = false
  writable = true
  bytesRead = 0
  readonly #up: Pipe<string>
  readonly #down: Pipe<Sent>
  readonly #world: World
  readonly #server: Server
  readonly #who: string
  #connection: ServerConnection | null = null
  /** Whether nothing arrives any more, and neither side notices. */
  #isDead = false
  readonly #lost: Sent[] = []

  constructor(world: World, server: Server, who: string) {
    super()
    this.#world = world
    this.#server = server
    this.#who = who
    const delay = (): number => delayMs(world) + server.latencyMs
    this.#up = new Pipe(delay, (texts) => {
      for (const text of texts) for (const command of parseCommands(text)) this.#connection?.execute(command)
    })
    this.#down = new Pipe(delay, (items) => this.#receive(items))
    setTimeout(() => this.#connect(), 2 * delay())
  }

  get server(): Server {
    return this.#server
  }

  /** The node to which it belongs. */
  get who(): string {
    return this.#who
  }

  get isSubscriber(): boolean {
    return this.#connection?.isSubscriber ?? false
  }

  get channels(): ReadonlySet<string> {
    return this.#connection?.classic ?? new Set()
  }

  /** The messages that have not arrived. */
  get missing(): Sent[] {
    return [...this.#lost, ...this.#down.items]
  }

  // -- the methods that ioredis uses

  write(data: string | Buffer): boolean {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data
    if (!this.#isDead) this.#up.send(bytes.toString('latin1'))
    return true
  }

  end(): this {
    return this.destroy()
  }

  destroy(): this {
    if (!this.destroyed) this.#close()
    return this
  }

  resume(): this {
    return this
  }

  setNoDelay(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }

  setTimeout(ms: number, callback?: () => void): this {
    if (ms > 0 && callback !== undefined)
      setTimeout(() => {
        if (this.connecting && !this.destroyed) callback()
      }, ms)
    return this
  }

  asSocket(): Socket {
    return this as unknown as Socket
  }

  // -- for the server

  send(item: Sent): void {
    if (this.#isDead) this.#lost.push(item)
    else this.#down.send(item)
  }

  /** The server has closed the connection. */
  reset(): void {
    if (!this.destroyed) this.#close()
  }

  // -- faults

  stall(ms: number): void {
    if (this.destroyed) return
    this.#up.stall(ms)
    this.#down.stall(ms)
  }

  /** From now on nothing arrives, and neither side notices. */
  die(): void {
    if (this.destroyed) return
    this.#isDead = true
    this.#lost.push(...this.#down.items)
    this.#down.clear()
    this.#up.clear()
  }

  #connect(): void {
    if (this.destroyed || !this.#server.answers(this.#who)) return
    if (!this.#server.isUp) {
      this.emit('error', new Error(`connect ECONNREFUSED ${this.#server.address}`))
      return void this.destroy()
    }
    this.connecting = false
    this.#connection = this.#server.accept(this)
    this.emit('connect')
  }

  #receive(items: readonly Sent[]): void {
    const text = items.map((item) => item.text).join('')
    this.bytesRead += text.length
    this.emit('data', Buffer.from(text, 'latin1'))
  }

  #close(): void {
    this.destroyed = true
    this.writable = false
    this.connecting = false
    this.#isDead = true
    // Commands in flight may still arrive.
    if (this.#world.random.chance(0.5)) this.#up.clear()
    this.#down.clear()
    this.#connection?.close()
    setImmediate(() => this.emit('close'))
  }
}

/** A `Connector` class for ioredis, which connects to the simulated servers. */
export function connectorTo(
  world: World,
  who: string,
  find: (host: string) => Server,
  sockets: Set<SimulatedSocket>,
): new (options: unknown) => object {
  return class SimulatedConnector {
    connecting = false
    readonly #host: string
    #socket: SimulatedSocket | null = null

    constructor(options: unknown) {
      this.#host = (options as { readonly host: string }).host
    }

    async connect(): Promise<Socket> {
      this.connecting = true
      const socket = new SimulatedSocket(world, find(this.#host), who)
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
      this.#socket = socket
      return socket.asSocket()
    }

    disconnect(): void {
      this.connecting = false
      this.#socket?.destroy()
    }

    check(): boolean {
      return true
    }
  }
}
