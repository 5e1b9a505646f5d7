import type { Broker, BrokerReceiver } from '../backends/backend.ts'
import type { Channel } from '../channels/channel.ts'
import type { FanOut } from '../channels/fanout.ts'
import type { LogLimits } from '../channels/log.ts'
import type { Counts } from '../metrics/counts.ts'
import type { EventLogger } from '../logger.ts'
import { uptimeMs } from '../time/uptime.ts'
import { Beacons } from './beacons.ts'
import { ControlChannels } from './controlChannels.ts'
import { Copies, type CopiesOptions } from './copies.ts'
import { Membership } from './membership.ts'
import type { NodeControl } from './nodeControl.ts'
import { Numbering } from './numbering.ts'
import { OrderCheck } from './orderCheck.ts'
import { Recovery } from './recovery.ts'

/** What the orders of a node share. */
export interface OrderHost {
  readonly control: NodeControl
  readonly logger: EventLogger
  readonly counts: Counts
  readonly fanOut: FanOut
  readonly logLimits: LogLimits
  /** The maximum number of bytes of pages in flight: of pages that this node requests, and of pages that it sends. */
  readonly maxBackfillBytes: number
  readonly copies: CopiesOptions
  /** See `Backend.meet`. */
  meet(ttlMs: number): Promise<readonly string[]>
  /** A message of a channel that counts its messages. `beacon` is the current one. */
  received(channel: Channel, body: string, beacon: number): void
  /** The broker refuses the channel: a later subscribe to its name creates a new channel. */
  forget(channel: Channel): void
  /**
   * The node receives all messages of the order: its subscriptions are confirmed. `downMs`: how long it has received none
   * before that; `null` at the first time.
   */
  listening(downMs: number | null): void
}

/**
 * The messages of one broker, in the order in which all nodes receive them, and the channels of this node that belong to
 * it. Nodes number the messages of an order alike, and recover them from one another. Positions of different orders cannot
 * be compared.
 */
export class Order implements BrokerReceiver {
  readonly broker: Broker
  /** When this node learnt of the order. */
  readonly openedAt = uptimeMs()
  readonly control: ControlChannels
  readonly beacons: Beacons
  readonly recovery: Recovery
  /** `null` if other nodes are not asked to hold channels. */
  readonly copies: Copies | null
  readonly #host: OrderHost
  readonly #channels = new Map<string, Channel>()
  readonly #numbering: Numbering
  readonly #membership: Membership
  readonly #orderCheck: OrderCheck
  /** Whether all subscriptions that were requested when the connection came up are confirmed. */
  #isReady = false
  /** Since when messages may have been missed; `null` while all are received. */
  #downSince: number | null

  /** @param isLate Whether the node received messages before. Then it may have missed messages of this order. */
  constructor(broker: Broker, host: OrderHost, isLate: boolean) {
    this.#downSince = isLate ? uptimeMs() : null
    this.broker = broker
    this.#host = host
    const { logger, fanOut, logLimits, maxBackfillBytes } = host
    const channels = this.#channels
    const control = (this.control = new ControlChannels(broker, host.control, host.counts))
    const beacons = (this.beacons = new Beacons(broker, logger, host.counts, () => this.#membership.stuck()))
    const begin = (begun: readonly Channel[]): void => this.recovery.begin(begun)
    const numbering = (this.#numbering = new Numbering({ beacons, control, channels, logger, begin }))
    this.recovery = new Recovery({
      broker,
      control,
      beacons,
      fanOut,
      channels,
      logLimits,
      maxBackfillBytes,
      counts: host.counts,
      isHopeless: (channel) => this.isHopeless(channel),
    })
    this.#orderCheck = new OrderCheck({ control, beacons, channels, logger })
    this.#membership = new Membership({
      broker,
      beacons,
      numbering,
      logger,
      ownChannels: control.own,
      channels,
      begin,
      forget: (channel) => {
        channels.delete(channel.name)
        host.forget(channel)
      },
      ready: () => this.#ready(),
    })
    this.copies = host.copies.number > 1 ? this.#makeCopies(host) : null
  }

  /** The channels of this node that belong to the order. */
  get channels(): ReadonlyMap<string, Channel> {
    return this.#channels
  }

  /** Whether messages are received: the broker is connected, and all subscriptions are confirmed. */
  get isListening(): boolean {
    return this.#isReady && this.broker.isConnected
  }

  /** The reason why the broker cannot do everything that is needed, as a short text; `null` if there is none. */
  get trouble(): string | null {
    // No channel can be joined without a beacon. After a refusal the next attempt comes later than the broker's own check.
    return this.broker.trouble ?? (this.beacons.isRefused ? 'Redis refused a beacon' : null)
  }

  /** Whether the channel cannot become live, as far as is known now: requests need not wait for it. */
  isHopeless(channel: Channel): boolean {
    return this.#membership.isHopeless(channel)
  }

  /** The channel belongs to this order from now on. */
  add(channel: Channel): void {
    this.#channels.set(channel.name, channel)
    this.#membership.join(channel)
  }

  /** The node does not need the channels any more. */
  remove(channels: readonly Channel[]): void {
    for (const { name } of channels) this.#channels.delete(name)
    this.#membership.leave(channels)
  }

  /**
   * The channels do not belong to this order any more. Their messages cannot be counted until they belong to another one,
   * and what is published meanwhile cannot be recovered.
   */
  release(channels: readonly Channel[]): void {
    this.#host.fanOut.flush()
    this.remove(channels)
    for (const channel of channels) channel.broken(this.beacons.current)
  }

  close(): void {
    this.#isReady = false
    this.#membership.down()
    this.#orderCheck.close()
    this.copies?.close()
    this.beacons.close()
  }

  // -- events of the broker

  message(name: string, body: string): void {
    if (this.control.receive(name, body)) return
    const channel = this.#channels.get(name)
    if (channel === undefined || channel.state === 'joining') return
    this.#host.received(channel, body, this.beacons.current)
  }

  up(): void {
    void this.#membership.up()
  }

  down(error: Error): void {
    if (this.#isReady) {
      this.#downSince = uptimeMs()
      this.#host.counts.outages.count += 1
    }
    this.#isReady = false
    this.#host.logger.debug({ event: 'notListening', err: error }, 'The node receives no messages from Redis')
    this.#host.fanOut.flush()
    this.#membership.down()
    this.#numbering.interrupt()
  }

  moved(names: readonly string[]): void {
    const channels = names.map((name) => this.#channels.get(name)).filter((channel) => channel !== undefined)
    this.release(channels)
  }

  #makeCopies({ copies, control: nodeControl, logger, meet }: OrderHost): Copies {
    const { control, beacons, channels } = this
    return new Copies({
      ...copies,
      control,
      beacons,
      channels,
      logger,
      meet,
      retain: (name) => {
        const channel = nodeControl.isReserved(name) ? null : copies.retain(name)
        if (channel === null || channels.get(name) === channel) return channel
        // For this node, the channel belongs to another order.
        copies.letGo(channel)
        return null
      },
      locate: (channel, since, seeker) => this.recovery.locate(channel, since, seeker),
    })
  }

  #ready(): void {
    this.#isReady = true
    const downMs = this.#downSince === null ? null : uptimeMs() - this.#downSince
    this.#downSince = null
    this.#host.counts.outages.ms += downMs ?? 0
    this.#host.listening(downMs)
  }
}
