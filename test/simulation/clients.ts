import { BroadcasterClient, type Mode, type Subscription } from '@broadcaster/client'
import { fetchThrough, type SimulatedRequest } from './http.ts'
import { Pace, Record, type Positions, type Published } from './oracle.ts'
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
  readonly broker: Published
  readonly positions: Positions
  readonly requests: Set<SimulatedRequest>
}

interface Held {
  readonly stop: Subscription
  readonly record: Record
  /** Further subscriptions of the same channel. */
  readonly others: { readonly stop: Subscription; readonly record: Record }[]
  /** The subscriptions for which the server has been asked. */
  readonly waiting: Set<Subscription>
}

function waitFor({ waiting }: Held, stop: Subscription): void {
  waiting.add(stop)
  const isOver = (): void => void waiting.delete(stop)
  stop.ready.then(isOver, isOver)
}

/** How long the client keeps a channel without listeners. A new subscription within this time continues at its position. */
const GRACE_MS = 1000

/** The kit's own client. */
export class KitClient implements Actor {
  readonly name: string
  readonly route: Route
  readonly #network: Network
  readonly #client: BroadcasterClient
  readonly #held = new Map<string, Held>()
  #replays = 0
  /** The last subscription of each channel, and the time from which the next one does not continue it. */
  readonly #ended = new Map<string, { record: Record; newFrom: number }>()

  constructor(network: Network, route: Route, mode: Mode, timeoutMs: number, pingIntervalMs: number) {
    const { world, requests, positions } = network
    this.#network = network
    this.name = route.name
    this.route = route
    const pace = new Pace(world, this.name)
    const fetch = fetchThrough(world, route, requests)
    const auth = world.credentials.ofClient(this.name)
    this.#client = new BroadcasterClient('http://balancer/broadcast', {
      mode,
      ...(auth && { auth }),
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
    const known = this.#held.get(channel)
    if (known !== undefined) return this.#subscribeAgain(channel, known)
    const { world, broker } = this.#network
    const before = this.#ended.get(channel)
    const isContinued = before !== undefined && Date.now() < before.newFrom
    const floor = Math.min(broker.headEverywhere(channel), isContinued ? before.record.floor : Infinity)
    const record = new Record(world, broker, this.name, channel, floor)
    world.trace?.add(this.name, `subscribes ${channel}`)
    // Two of three subscriptions ask for older messages.
    const replay = (++this.#replays % 3) * 4
    const stop = this.#client.subscribe(channel, record.handle, {
      replay,
      onGap: ({ reason }) => {
        world.gap(this.name, channel, reason)
        record.gap()
      },
      onStatus: (status) => (status === 'subscribed' ? record.confirmed() : record.interrupted()),
    })
    if (stop.status === 'subscribed') record.confirmed()
    const held: Held = { stop, record, others: [], waiting: new Set() }
    waitFor(held, stop)
    this.#held.set(channel, held)
  }

  /** One more subscription of the channel. It begins with older messages, and lasts as long as the first one. */
  #subscribeAgain(channel: string, held: Held): void {
    const { record: first, others } = held
    if (others.length > 1) return
    const { world, broker } = this.#network
    // The client may be behind, and then its channel continues where it is.
    const record = new Record(world, broker, `${this.name} again`, channel, first.floor)
    world.trace?.add(this.name, `subscribes ${channel} again`)
    const stop = this.#client.subscribe(channel, record.handle, {
      replay: 3,
      onGap: () => record.gap(),
      onStatus: (status) => void (status === 'subscribed' && record.confirmed()),
    })
    waitFor(held, stop)
    others.push({ stop, record })
  }

  unsubscribe(channel: string): void {
    const held = this.#held.get(channel)
    if (held === undefined) return
    const { world } = this.#network
    this.#held.delete(channel)
    for (const { record, stop } of held.others) {
      record.end()
      stop()
    }
    held.record.end()
    const ended = { record: held.record, newFrom: Infinity }
    this.#ended.set(channel, ended)
    if (world.random.chance(0.5)) {
      world.trace?.add(this.name, `stops ${channel}`)
      // A subscription that is not confirmed yet lasts until its answer, so its end is not known.
      if (held.stop.status === 'subscribed' && held.waiting.size === 0) ended.newFrom = Date.now() + GRACE_MS
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
    for (const { record, others } of this.#held.values())
      for (const each of [record, ...others.map((other) => other.record)]) each.checkCaughtUp()
  }
}
