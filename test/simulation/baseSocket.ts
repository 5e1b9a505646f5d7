import type { ServerMessage } from '@broadcaster/protocol'
import type { Actor, Network } from './clients.ts'
import { Record } from './oracle.ts'
import { SimulatedSocket, type Route } from './socket.ts'

/** After this time without an answer, the client reconnects. */
const PATIENCE_MS = 8000

/**
 * A WebSocket client of the base. It has no positions, and starts again with every connection. Within one connection it gets
 * every message, or the server closes the connection.
 */
export class BaseSocketClient implements Actor {
  readonly name: string
  readonly route: Route
  readonly #network: Network
  readonly #wanted = new Set<string>()
  readonly #records = new Map<string, Record>()
  /** Channels with an unanswered `unsubscribe`. */
  readonly #leaving = new Set<string>()
  #socket: SimulatedSocket | null = null
  #isAuthenticated = false
  #patience: NodeJS.Timeout | undefined
  #connecting: NodeJS.Timeout | undefined

  constructor(network: Network, route: Route) {
    this.#network = network
    this.name = route.name
    this.route = route
    this.#connectAfter(0)
  }

  get channels(): string[] {
    return [...this.#wanted]
  }

  subscribe(channel: string): void {
    this.#wanted.add(channel)
    this.#subscribe(channel)
  }

  unsubscribe(channel: string): void {
    this.#wanted.delete(channel)
    if (!this.#records.has(channel) || this.#leaving.has(channel)) return
    this.#leaving.add(channel)
    this.#send({ __type: 'unsubscribe', channel })
  }

  leave(forMs: number): void {
    this.#socket?.close()
    this.#lost(forMs)
  }

  checkCaughtUp(): void {
    for (const channel of this.#wanted) {
      if (!this.#records.has(channel)) this.#network.world.fail(this.name, `${channel}: was never subscribed`)
    }
    for (const record of this.#records.values()) record.checkCaughtUp()
  }

  #connectAfter(ms: number): void {
    clearTimeout(this.#connecting)
    this.#connecting = setTimeout(() => {
      const { world } = this.#network
      const socket = new SimulatedSocket(world, this.route)
      this.#socket = socket
      this.#expectAnswer()
      socket.onopen = () => {
        this.#send({ __type: 'auth' })
        // Some clients don't wait for the answer.
        if (world.random.chance(0.3)) this.#authenticated()
      }
      socket.onmessage = ({ data }: { data: string }) => {
        if (socket === this.#socket) this.#receive(JSON.parse(data) as ServerMessage)
      }
      socket.onclose = ({ code }: { code: number }) => {
        if (code === 4410) world.gap(this.name, null, 'closed with 4410')
        if (socket === this.#socket) this.#lost(world.random.between(0, 1000))
      }
    }, ms)
  }

  #lost(againAfterMs: number): void {
    clearTimeout(this.#patience)
    this.#socket = null
    this.#isAuthenticated = false
    for (const record of this.#records.values()) record.end()
    this.#records.clear()
    this.#leaving.clear()
    this.#connectAfter(againAfterMs)
  }

  #authenticated(): void {
    if (this.#isAuthenticated) return
    this.#isAuthenticated = true
    for (const channel of this.#wanted) this.#subscribe(channel)
  }

  #subscribe(channel: string): void {
    if (!this.#isAuthenticated || this.#leaving.has(channel)) return
    const { world, broker } = this.#network
    // A repeated subscribe changes nothing.
    if (!this.#records.has(channel)) this.#records.set(channel, new Record(world, broker, this.name, channel))
    this.#send({ __type: 'subscribe', channel })
  }

  #receive(message: ServerMessage): void {
    clearTimeout(this.#patience)
    const { world } = this.#network
    switch (message.__type) {
      case 'authOk':
        return this.#authenticated()
      case 'subscribeOk':
        return this.#records.get(message.channel)?.confirmed()
      case 'unsubscribeOk': {
        this.#records.get(message.channel)?.end()
        this.#records.delete(message.channel)
        this.#leaving.delete(message.channel)
        if (this.#wanted.has(message.channel)) this.#subscribe(message.channel)
        return
      }
      case 'serverError': {
        const { channel } = message
        if (channel === undefined) return
        this.#records.delete(channel)
        setTimeout(() => {
          if (this.#wanted.has(channel) && !this.#records.has(channel)) this.#subscribe(channel)
        }, 500)
        return
      }
      case 'message': {
        const record = this.#records.get(message.channel)
        if (message.position !== undefined) world.fail(this.name, 'a position for a client of the base')
        if (record === undefined)
          return world.fail(this.name, `${message.channel}: a message, but not subscribed`)
        return record.message(message.body)
      }
      default:
        world.fail(this.name, `was sent ${message.__type}`)
    }
  }

  #send(message: object): void {
    this.#expectAnswer()
    this.#socket?.send(JSON.stringify(message))
  }

  #expectAnswer(): void {
    clearTimeout(this.#patience)
    const socket = this.#socket
    this.#patience = setTimeout(() => {
      if (socket === null || socket !== this.#socket) return
      socket.close()
      this.#lost(0)
    }, PATIENCE_MS)
  }
}
