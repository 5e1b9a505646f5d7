import { BroadcasterClient, type Mode, type Subscription } from '@broadcaster/client'
import type { Broker } from './broker.ts'
import { fetchThrough, type SimulatedRequest } from './http.ts'
import { Pace, Record, type Positions } from './oracle.ts'
import { SimulatedSocket, type Route } from './socket.ts'
import type { World } from './world.ts'

/** A client as the run controls it. */
export interface Actor {
  readonly name: string
  readonly route: Route
  subscribe(channel: string): void
  unsubscribe(channel: string): void
  /** The channels to which it wants to be subscribed. */
  readonly channels: readonly string[]
  /** Disconnects for this time. */
  leave(forMs: number): void
  checkCaughtUp(): void
}

export interface Network {
  readonly world: World
  readonly broker: Broker
  readonly positions: Positions
  readonly requests: Set<SimulatedRequest>
}

/** How long the client keeps a channel without listeners. A new subscription within this time continues at its position. */
const GRACE_MS = 1000

/** The kit's own client. */
export class KitClient implements Actor {
  readonly name: string
  readonly route: Route
  readonly #network: Network
  readonly #client: BroadcasterClient
  readonly #held = new Map<string, { stop: Subscription; record: Record }>()
  /** The last subscription of each channel, and the time from which the next one does not continue it. */
  readonly #ended = new Map<string, { record: Record; newFrom: number }>()

  constructor(network: Network, route: Route, mode: Mode, timeoutMs: number, pingIntervalMs: number) {
    const { world, requests, positions } = network
    this.#network = network
    this.name = route.name
    this.route = route
    const pace = new Pace(world, this.name)
    const fetch = fetchThrough(world, route, requests)
    this.#client = new BroadcasterClient('http://balancer/broadcast', {
      mode,
      timeout: timeoutMs,
      pingInterval: pingIntervalMs,
      WebSocket: class extends SimulatedSocket {
        constructor() {
          super(world, route)
        }
      },
      fetch: (url, init) => {
        pace.count()
        return fetch(url, init)
      },
    })
    this.#client.on('status', ({ to, reason }) => world.trace?.add(this.name, `${to}: ${reason}`))
    this.#client.on('error', (error) => world.trace?.add(this.name, `error: ${error.message}`))
    this.#client.on('disconnected', ({ error }) => {
      if (error) world.fail(this.name, `has given up: ${error.code} ${error.message}`)
    })
    this.#client.on('message', (channel, body, { position }) => {
      if (position === undefined) world.fail(this.name, `${channel}: a message without a position`)
      else positions.check(this.name, channel, body, position)
    })
  }

  get channels(): string[] {
    return [...this.#held.keys()]
  }

  subscribe(channel: string): void {
    if (this.#held.has(channel)) return
    const { world, broker } = this.#network
    const before = this.#ended.get(channel)
    const isContinued = before !== undefined && Date.now() < before.newFrom
    const floor = Math.min(broker.headEverywhere(channel), isContinued ? before.record.floor : Infinity)
    const record = new Record(world, broker, this.name, channel, floor)
    world.trace?.add(this.name, `subscribes ${channel}`)
    const stop = this.#client.subscribe(channel, (body) => record.message(body), {
      onGap: ({ reason }) => {
        world.gap(this.name, `${channel}: ${reason}`)
        record.gap()
      },
      onStatus: (status) => status === 'subscribed' && record.confirmed(),
    })
    if (stop.status === 'subscribed') record.confirmed()
    this.#held.set(channel, { stop, record })
  }

  unsubscribe(channel: string): void {
    const held = this.#held.get(channel)
    if (held === undefined) return
    const { world } = this.#network
    this.#held.delete(channel)
    held.record.end()
    const ended = { record: held.record, newFrom: Infinity }
    this.#ended.set(channel, ended)
    if (world.random.chance(0.5)) {
      world.trace?.add(this.name, `stops ${channel}`)
      // A subscription that is not confirmed yet lasts until its answer, so its end is not known.
      if (held.stop.status === 'subscribed') ended.newFrom = Date.now() + GRACE_MS
      held.stop()
    } else {
      world.trace?.add(this.name, `unsubscribes ${channel}`)
      const isAway = (): void => void (ended.newFrom = Date.now())
      this.#client.unsubscribe(channel).then(isAway, isAway)
    }
  }

  leave(forMs: number): void {
    if (this.#client.status === 'disconnected') return
    this.#network.world.trace?.add(this.name, `disconnects for ${forMs} ms`)
    void this.#client.disconnect()
    setTimeout(() => void this.#client.connect(), forMs)
  }

  checkCaughtUp(): void {
    const { status } = this.#client
    if (status !== 'connected' && status !== 'idle')
      this.#network.world.fail(this.name, `is ${status} at the end`)
    for (const { record } of this.#held.values()) record.checkCaughtUp()
  }
}
