import type { Backend } from './backends/backend.ts'
import type { Beacons } from './beacons.ts'
import type { Channel } from './channel.ts'
import { isRefusal } from './errors.ts'
import type { Logger } from './logger.ts'

/** Channels in one SUBSCRIBE: a node with very many must not block Redis for all others. */
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
  /** The broker refuses them to this node. */
  refused(channels: readonly Channel[]): void
  /** The broker is there, and can't subscribe anything for now. */
  stuck(): void
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
  #isRefused = false
  /** Counts up with every connection: what was begun on an older one is void. */
  #epoch = 0

  constructor(host: MembershipHost) {
    this.#host = host
  }

  /** Whether the broker has said that it can't: then there is nothing to wait for. */
  get isRefused(): boolean {
    return this.#isRefused
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
    this.#host.backend.unsubscribe(channels.map(({ name }) => name)).catch((error: unknown) => {
      this.#host.logger.debug({ err: error }, 'Unsubscribing was interrupted')
    })
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
    const { backend, beacons, logger, ownChannels, channels } = this.#host
    const epoch = ++this.#epoch
    this.#wanted = []
    this.#confirmed.clear()
    if (!backend.isOrdered) beacons.makeOwn()
    for (let isRefused = false; ; isRefused = true) {
      const refused = await this.#ask(ownChannels, epoch)
      if (refused === null) return
      if (refused.size === 0) break
      if (!isRefused) logger.error({ channels: [...refused] }, 'The broker refuses what nodes need')
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
    for (let i = 0; i < channels.length; i += SUBSCRIBE_BATCH) {
      const batch = channels.slice(i, i + SUBSCRIBE_BATCH)
      const refused = await this.#ask(
        batch.map(({ name }) => name),
        epoch,
      )
      if (refused === null) return
      const isHeld = (channel: Channel): boolean => this.#host.channels.get(channel.name) === channel
      if (refused.size > 0) {
        this.#host.refused(batch.filter((channel) => refused.has(channel.name) && isHeld(channel)))
      }
      this.#confirm(batch.filter(({ name }) => !refused.has(name)))
    }
  }

  /**
   * Asks for channels for as long as this connection lasts, and returns those that the broker refuses. `null`: it has not
   * lasted, and the next one brings all of them back.
   */
  async #ask(names: readonly string[], epoch: number): Promise<ReadonlySet<string> | null> {
    while (epoch === this.#epoch) {
      try {
        const refused = await this.#host.backend.subscribe(names)
        this.#isRefused = false
        return epoch === this.#epoch ? new Set(refused) : null
      } catch (error) {
        this.#isRefused = isRefusal(error)
        if (this.#isRefused) this.#host.stuck()
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

function pause(): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, RETRY_MS).unref())
}
