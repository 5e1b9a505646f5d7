import { deferred } from '@broadcaster/protocol'
import type { Backend, BackendReceiver, Broker, BrokerReceiver } from '../backends/backend.ts'
import type { Channel } from '../channels/channel.ts'
import type { Position } from '../channels/position.ts'
import { closed } from '../errors.ts'
import type { CopyStats } from './copies.ts'
import { uptimeMs } from '../time/uptime.ts'
import { Order, type OrderHost } from './order.ts'
import type { Located, Seeker } from './recovery.ts'

/** After this time, all nodes know a new order. */
const KNOWN_MS = 5000

export interface OrdersOptions extends Omit<OrderHost, 'listening' | 'meet'> {
  readonly backend: Backend
  /** All channels of this node. */
  readonly channels: ReadonlyMap<string, Channel>
  /**
   * The node receives control messages, after it may have missed some for `downMs`. `null`: since it was started.
   */
  onListening(downMs: number | null): void
}

/** The orders of this node: one for each broker of the backend. */
export class Orders implements BackendReceiver {
  readonly #options: OrdersOptions
  readonly #orders = new Map<Broker, Order>()
  readonly #started = deferred()
  #hasListened = false
  #isClosed = false

  constructor(options: OrdersOptions) {
    this.#options = options
    options.control.sendOn(() => this.#home?.control ?? null)
  }

  /** Whether messages are received. */
  get isListening(): boolean {
    if (this.#isClosed || !this.#options.backend.isConnected) return false
    return this.#all.some((order) => order.isListening)
  }

  /** Whether the messages of every order are received. Other nodes send control messages about clients on any of them. */
  get isListeningToAll(): boolean {
    if (this.#isClosed || !this.#options.backend.isConnected) return false
    // This is asked at every poll, so it makes no array.
    for (const order of this.#orders.values()) if (!order.isListening) return false
    return this.#orders.size > 0
  }

  /** The reason why a connected broker cannot do everything that is needed; `null` if there is none. */
  get trouble(): string | null {
    const { backend } = this.#options
    if (backend.trouble !== null) return backend.trouble
    // While one order works, channels work.
    const troubles = this.#all.map((order) => order.trouble)
    return troubles.includes(null) ? null : (troubles[0] ?? null)
  }

  /** The bytes of pages that are requested from other nodes, or sent to them. */
  get bytesInFlight(): number {
    return this.#all.reduce((sum, { recovery }) => sum + recovery.bytesInFlight, 0)
  }

  copyStats(): CopyStats {
    const sum = { copiedChannels: 0, uncopiedChannels: 0 }
    for (const order of this.#orders.values()) {
      const stats = order.copies?.stats()
      sum.copiedChannels += stats?.copiedChannels ?? 0
      sum.uncopiedChannels += stats?.uncopiedChannels ?? 0
    }
    return sum
  }

  /** Resolves when messages are received. */
  async start(): Promise<void> {
    const connected = this.#options.backend.start(this)
    // With the race, a close before the backend has started rejects the promise, too.
    await Promise.race([connected, this.#started.promise])
    await Promise.all([connected, this.#started.promise])
  }

  /** The node will end. The channels that it holds for other nodes need to be held elsewhere. */
  async leave(): Promise<void> {
    await Promise.all([...this.#orders.values()].map(({ copies }) => copies?.leave()))
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const order of this.#all) order.close()
    this.#started.reject(closed())
    await this.#options.backend.close()
  }

  /** The current beacon of the channel's order. 0 if the channel has no order yet. */
  beaconOf(channel: Channel): number {
    return this.#of(channel)?.beacons.current ?? 0
  }

  /** Whether the position cannot be one of the numbers of the channel's order. See {@link Beacons.isForeign}. */
  isForeign(channel: Channel, position: Position): boolean {
    return this.#of(channel)?.beacons.isForeign(position) ?? false
  }

  /** The node needs the channel. */
  add(channel: Channel): void {
    const broker = this.#options.backend.brokerOf(channel.name)
    if (broker !== null) this.#orders.get(broker)?.add(channel)
  }

  /** The node does not need the channels any more. */
  remove(channels: readonly Channel[]): void {
    for (const order of this.#orders.values()) order.remove(channels.filter((channel) => has(order, channel)))
  }

  /** Whether the channel cannot become live, as far as is known now: requests need not wait for it. */
  isHopeless(channel: Channel): boolean {
    return this.#of(channel)?.isHopeless(channel) ?? channel.isRefused
  }

  /** See {@link Recovery.locate}. */
  async locate(channel: Channel, since: Position | null, seeker: Seeker): Promise<Located> {
    const order = this.#of(channel)
    if (order !== null) return order.recovery.locate(channel, since, seeker)
    await seeker.deadline.wait(channel.settled)
    return 'away'
  }

  /** See {@link Recovery.gather}. */
  async gather(
    channel: Channel,
    position: Position,
    max: number,
    seeker: Pick<Seeker, 'owner' | 'node'>,
  ): Promise<void> {
    await this.#of(channel)?.recovery.gather(channel, position, max, seeker)
  }

  /**
   * Resolves when everything that was published before this call has been received. It waits while all brokers are
   * away. If one is away, the revocations that were sent on it are applied when it is back (see `onListening`).
   */
  async caughtUp(): Promise<void> {
    const listening = this.#all.filter((order) => order.isListening)
    const orders = listening.length > 0 ? listening : this.#all
    await Promise.all(orders.map(({ beacons }) => beacons.fresh()))
  }

  // -- events of the backend

  opened(broker: Broker): BrokerReceiver {
    const { backend, control } = this.#options
    const host = {
      ...this.#options,
      listening: (downMs: number | null) => this.#listening(downMs),
      meet: (ttlMs: number) => backend.meet(control.node, ttlMs),
    }
    const order = new Order(broker, host, this.#hasListened)
    this.#orders.set(broker, order)
    this.rearranged()
    return order
  }

  closed(broker: Broker): void {
    const order = this.#orders.get(broker)
    if (order === undefined) return
    this.#orders.delete(broker)
    order.release([...order.channels.values()])
    order.close()
    this.rearranged()
  }

  rearranged(): boolean {
    const leaving = new Map<Order, Channel[]>()
    const joining: Channel[] = []
    let isComplete = true
    for (const channel of this.#options.channels.values()) {
      const from = this.#of(channel)
      const broker = this.#options.backend.brokerOf(channel.name)
      if (broker === null) isComplete = false
      if (broker === null || broker === from?.broker || !this.#orders.has(broker)) continue
      joining.push(channel)
      if (from === null) continue
      const others = leaving.get(from)
      if (others === undefined) leaving.set(from, [channel])
      else others.push(channel)
    }
    for (const [order, channels] of leaving) order.release(channels)
    for (const channel of joining) this.add(channel)
    return isComplete
  }

  #listening(downMs: number | null): void {
    this.#hasListened = true
    this.#started.resolve()
    this.#options.onListening(downMs)
  }

  #of(channel: Channel): Order | null {
    for (const order of this.#orders.values()) if (has(order, channel)) return order
    return null
  }

  get #all(): Order[] {
    return [...this.#orders.values()]
  }

  /**
   * The order on which this node sends control messages that are not about channels: that of the name of the control
   * channel. All nodes receive such messages on all orders, so another one is as good while this one is away. Other nodes
   * may not know an order yet that this node has just learnt of, so an older one is used first.
   */
  get #home(): Order | null {
    const { backend, control } = this.#options
    const broker = backend.brokerOf(control.options.controlChannel)
    const home = (broker && this.#orders.get(broker)) ?? null
    const listening = this.#all.filter((order) => order.isListening)
    const old = listening.filter(({ openedAt }) => uptimeMs() - openedAt >= KNOWN_MS)
    const usable = old.length > 0 ? old : listening
    if (usable.length === 0) return home ?? this.#all[0] ?? null
    return home !== null && usable.includes(home) ? home : usable[0]!
  }
}

function has(order: Order, channel: Channel): boolean {
  return order.channels.get(channel.name) === channel
}
