import type { Backend } from '../backends/backend.ts'
import type { Beacons } from './beacons.ts'
import type { Channel } from '../channels/channel.ts'
import { isRefusal } from '../errors.ts'
import type { Logger } from '../logger.ts'

/** Channels in one SUBSCRIBE or UNSUBSCRIBE: a node with very many must not block Redis for all others. */
const SUBSCRIBE_BATCH = 500
/** How long the broker has, after it could not, until it is asked again. */
const RETRY_MS = 500

/** What {@link Membership} needs of the hub. */
export interface MembershipHost {
  readonly backend: Backend
  readonly beacons: Beacons
  readonly logger: Logger
  /** The nodes' own: without them no channel can be joined. */
  readonly ownChannels: readonly string[]
  /** All channels that this node wants to hold. */
  readonly channels: ReadonlyMap<string, Channel>
  /** From the current beacon on these channels can be counted. */
  begin(channels: readonly Channel[]): void
  /** Nobody can have the channel: whoever asks for it from now on gets another one. */
  forget(channel: Channel): void
  /** Everything that was wanted when the connection came up is confirmed. */
  ready(): void
}

/** Keeps the broker's subscriptions as the channels are, over every connection that breaks. */
export class Membership {
  readonly #host: MembershipHost
  #isUp = false
  /** Channels that are wanted and not asked for yet. */
  #wanted: Channel[] = []
  /** Channels that the broker has confirmed and that wait for a beacon. */
  readonly #confirmed = new Set<Channel>()
  /** The broker can't subscribe anything for now. */
  #isRefused = false
  /** Counts up with every connection: what was begun on an older one is void. */
  #epoch = 0

  constructor(host: MembershipHost) {
    this.#host = host
  }

  /** Refused by the broker, or waiting for it where it says that it can't: there is nothing to wait for. */
  isHopeless({ isRefused, state }: Channel): boolean {
    return isRefused || (state === 'joining' && (this.#isRefused || this.#host.beacons.isRefused))
  }

  /** The broker has just said that it can't: those who wait for it need not. */
  stuck(): void {
    for (const channel of this.#host.channels.values()) if (channel.state === 'joining') channel.wake()
  }

  join(channel: Channel): void {
    if (this.#wanted.push(channel) > 1) return
    // All channels that are asked for in one turn go in one SUBSCRIBE, with one beacon.
    setImmediate(() => {
      const channels = this.#wanted
      this.#wanted = []
      if (this.#isUp && channels.length > 0) void this.#subscribe(channels, this.#epoch)
    })
  }

  leave(channels: readonly Channel[]): void {
    for (const channel of channels) this.#confirmed.delete(channel)
    if (channels.length === 0 || !this.#isUp) return
    for (const names of inBatches(channels.map(({ name }) => name))) {
      this.#host.backend.unsubscribe(names).catch((error: unknown) => {
        this.#host.logger.debug({ err: error }, 'Unsubscribing was interrupted')
      })
    }
  }

  /** Channels that are confirmed already have to count anew. */
  recount(channels: readonly Channel[]): void {
    for (const channel of channels) this.#confirmed.add(channel)
    void this.#host.beacons.fresh()
  }

  /** A beacon has come: what was confirmed before it counts from it. */
  beginConfirmed(): void {
    const begun = [...this.#confirmed]
    this.#confirmed.clear()
    this.#host.begin(begun)
  }

  /** There is a new connection, with nothing subscribed on it. */
  async up(): Promise<void> {
    const { backend, beacons, ownChannels, channels } = this.#host
    const epoch = ++this.#epoch
    this.#wanted = []
    this.#confirmed.clear()
    if (!backend.isOrdered) beacons.makeOwn()
    for (;;) {
      const refused = await this.#ask(() => ownChannels, epoch)
      if (refused === null) return
      if (refused.size === 0) break
      // What the backend makes known.
      await pause()
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
    this.#confirmed.clear()
  }

  async #subscribe(channels: readonly Channel[], epoch: number): Promise<void> {
    for (const batch of inBatches(channels)) {
      const isHeld = (channel: Channel): boolean => this.#host.channels.get(channel.name) === channel
      // When it has to be asked again, some may have been let go.
      const refused = await this.#ask(() => batch.filter(isHeld).map(({ name }) => name), epoch)
      if (refused === null) return
      for (const channel of batch) {
        if (!refused.has(channel.name) || !isHeld(channel)) continue
        this.#host.forget(channel)
        channel.refuse()
      }
      this.#confirm(batch.filter(({ name }) => !refused.has(name)))
    }
  }

  /**
   * Asks for channels for as long as this connection lasts, and returns those that the broker refuses. `null`: it has not
   * lasted, and the next one brings all of them back.
   */
  async #ask(names: () => readonly string[], epoch: number): Promise<ReadonlySet<string> | null> {
    while (epoch === this.#epoch) {
      try {
        const wanted = names()
        const refused = wanted.length === 0 ? [] : await this.#host.backend.subscribe(wanted)
        this.#isRefused = false
        // If the connection had broken meanwhile, it would have thrown.
        return new Set(refused)
      } catch (error) {
        this.#isRefused = isRefusal(error)
        if (this.#isRefused) this.stuck()
        this.#host.logger.debug({ err: error }, 'Subscribing was interrupted')
        await pause()
      }
    }
    return null
  }

  #confirm(channels: readonly Channel[]): void {
    // Some may have been let go meanwhile; some may have been asked for twice, and count already.
    const joined = channels.filter(
      (channel) => this.#host.channels.get(channel.name) === channel && channel.state === 'joining',
    )
    if (this.#host.backend.isOrdered) {
      // From the first beacon that comes after the confirmation their positions are everyone's.
      this.recount(joined)
    } else {
      this.#host.begin(joined)
    }
  }
}

function inBatches<T>(items: readonly T[]): T[][] {
  const batches: T[][] = []
  for (let i = 0; i < items.length; i += SUBSCRIBE_BATCH) batches.push(items.slice(i, i + SUBSCRIBE_BATCH))
  return batches
}

function pause(): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, RETRY_MS).unref())
}
