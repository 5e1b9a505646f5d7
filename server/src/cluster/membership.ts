import type { Broker } from '../backends/backend.ts'
import type { Beacons } from './beacons.ts'
import type { Channel } from '../channels/channel.ts'
import { isRefusal, logFailure } from '../errors.ts'
import type { EventLogger } from '../logger.ts'
import type { Numbering } from './numbering.ts'
import { pause } from '../time/pause.ts'

/** The maximum number of channels in one SUBSCRIBE or UNSUBSCRIBE. A larger command would block Redis for other clients. */
const SUBSCRIBE_BATCH = 500
/** How long to wait before the broker is asked again, after a command failed. */
const RETRY_MS = 500

/** What {@link Membership} needs of its order. */
export interface MembershipHost {
  readonly broker: Broker
  readonly beacons: Beacons
  readonly numbering: Numbering
  readonly logger: EventLogger
  /** The control channels of this node. No other channel is subscribed before them. */
  readonly ownChannels: readonly string[]
  /** The channels of this node that belong to the order. */
  readonly channels: ReadonlyMap<string, Channel>
  /** The broker refuses the channel: a later subscribe to its name creates a new channel. */
  forget(channel: Channel): void
  /** The channels can be counted from the current beacon on. */
  begin(channels: readonly Channel[]): void
  /** All subscriptions that were wanted when the connection came up are confirmed. */
  ready(): void
}

/** Keeps the subscriptions at the broker equal to the channels of the order, on every new connection. */
export class Membership {
  readonly #host: MembershipHost
  #isUp = false
  /** Channels that are wanted and not requested yet. */
  #wanted: Channel[] = []
  /** Whether the broker is connected and refuses to subscribe anything. */
  #isRefused = false
  /** The number of the connection. Work that was begun on an earlier connection is void. */
  #epoch = 0
  /** How many times a channel has left. A channel of an order may leave, and join again. */
  readonly #departures = new WeakMap<Channel, number>()

  constructor(host: MembershipHost) {
    this.#host = host
  }

  /** Whether the channel cannot become live, as far as is known now: requests need not wait for it. */
  isHopeless({ isRefused, state }: Channel): boolean {
    return isRefused || (state === 'joining' && (this.#isRefused || this.#host.beacons.isRefused))
  }

  /** The broker has refused a command. Requests that wait for a channel check it again. */
  stuck(): void {
    for (const channel of this.#host.channels.values()) if (channel.state === 'joining') channel.wake()
  }

  join(channel: Channel): void {
    if (this.#wanted.push(channel) > 1) return
    // All channels of one turn of the event loop are subscribed with one SUBSCRIBE and one beacon.
    setImmediate(() => {
      const channels = this.#wanted
      this.#wanted = []
      if (this.#isUp && channels.length > 0) void this.#subscribe(channels, this.#epoch)
    })
  }

  leave(channels: readonly Channel[]): void {
    this.#host.numbering.forget(channels)
    for (const channel of channels) this.#departures.set(channel, this.#departuresOf(channel) + 1)
    if (channels.length === 0 || !this.#isUp) return
    for (const names of inBatches(channels.map(({ name }) => name))) {
      this.#host.broker.unsubscribe(names).catch((error: unknown) => {
        logFailure(this.#host.logger, 'unsubscribingInterrupted', error, 'Unsubscribing was interrupted')
      })
    }
  }

  /** There is a new connection, without subscriptions. */
  async up(): Promise<void> {
    const { beacons, numbering, ownChannels, channels } = this.#host
    const epoch = ++this.#epoch
    this.#wanted = []
    numbering.reset()
    for (;;) {
      const refused = await this.#ask(() => ownChannels, epoch)
      if (refused === null) return
      if (refused.size === 0) break
      // The backend reports this.
      await pause(RETRY_MS)
    }
    this.#isUp = true
    await this.#subscribe([...channels.values()], epoch)
    if (epoch !== this.#epoch) return
    await beacons.fresh()
    if (epoch === this.#epoch) this.#host.ready()
  }

  down(): void {
    this.#epoch += 1
    this.#isUp = false
    this.#isRefused = false
    this.#host.numbering.reset()
  }

  async #subscribe(channels: readonly Channel[], epoch: number): Promise<void> {
    for (const batch of inBatches(channels)) {
      const departures = batch.map((channel) => this.#departuresOf(channel))
      const hasStayed = (channel: Channel, i: number): boolean =>
        this.#departuresOf(channel) === departures[i]
      const isHeld = (channel: Channel): boolean => this.#host.channels.get(channel.name) === channel
      // At a retry, some of them may have been removed.
      const refused = await this.#ask(() => batch.filter(isHeld).map(({ name }) => name), epoch)
      if (refused === null) return
      for (const channel of batch) {
        if (!refused.has(channel.name) || !isHeld(channel)) continue
        this.#host.forget(channel)
        channel.refuse()
      }
      // If a channel has left and joined again meanwhile, it is confirmed by another command.
      this.#confirm(batch.filter(hasStayed).filter(({ name }) => !refused.has(name)))
    }
  }

  /**
   * Subscribes to channels, with retries while this connection lasts. Returns the channels that the broker refuses, or
   * `null` if the connection broke: the next connection subscribes to all of them.
   */
  async #ask(names: () => readonly string[], epoch: number): Promise<ReadonlySet<string> | null> {
    while (epoch === this.#epoch) {
      try {
        const wanted = names()
        const refused = wanted.length === 0 ? [] : await this.#host.broker.subscribe(wanted)
        this.#isRefused = false
        // If the connection had broken meanwhile, `subscribe` would have rejected.
        return new Set(refused)
      } catch (error) {
        this.#isRefused = isRefusal(error)
        if (this.#isRefused) this.stuck()
        logFailure(this.#host.logger, 'subscribingInterrupted', error, 'Subscribing was interrupted')
        await pause(RETRY_MS)
      }
    }
    return null
  }

  #departuresOf(channel: Channel): number {
    return this.#departures.get(channel) ?? 0
  }

  #confirm(channels: readonly Channel[]): void {
    // Some may have been removed meanwhile. Some may have been requested twice, and are counted already.
    const joined = channels.filter(
      (channel) => this.#host.channels.get(channel.name) === channel && channel.state === 'joining',
    )
    this.#host.numbering.awaitBeacon(joined)
  }
}

function inBatches<T>(items: readonly T[]): T[][] {
  const batches: T[][] = []
  for (let i = 0; i < items.length; i += SUBSCRIBE_BATCH) batches.push(items.slice(i, i + SUBSCRIBE_BATCH))
  return batches
}
