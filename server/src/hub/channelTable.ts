import { Channel } from '../channels/channel.ts'
import { channelStats, type ChannelStats } from './channelStats.ts'
import { NodeFull } from '../errors.ts'
import type { HubOptions } from './hubOptions.ts'
import { Room } from './room.ts'
import { sweepChannels } from './sweep.ts'
import { uptimeMs } from '../time/uptime.ts'

const SWEEP_INTERVAL_MS = 1000
/** The share of the channels of this node up to which it holds channels for other nodes. The rest is for its own clients. */
const COPIES_SHARE = 0.9

/** Called when channels are added to the table, or removed because nothing needs them any more. */
export interface ChannelTableEvents {
  added(channel: Channel): void
  removed(channels: readonly Channel[]): void
}

/**
 * The channels that this node holds. A channel is created when it is first retained. It is removed some time after its
 * last subscriber and the last request that retained it are gone.
 */
export class ChannelTable {
  readonly #channels = new Map<string, Channel>()
  readonly #options: HubOptions
  readonly #events: ChannelTableEvents
  readonly #room: Room
  readonly #sweeper: NodeJS.Timeout

  constructor(options: HubOptions, events: ChannelTableEvents) {
    this.#options = options
    this.#events = events
    this.#room = new Room(this.#channels, options.maxChannels, options.counts, (idle) => this.#remove(idle))
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_INTERVAL_MS)
    this.#sweeper.unref()
  }

  get byName(): ReadonlyMap<string, Channel> {
    return this.#channels
  }

  /**
   * Returns the channel, and increments its reference count until {@link release}.
   *
   * @throws {NodeFull}
   */
  retain(name: string): Channel {
    let channel = this.#channels.get(name)
    if (channel === undefined) {
      if (!this.#room.hasRoom()) throw new NodeFull(name)
      channel = new Channel(name, this.#options.compression)
      channel.keepsLog = this.#options.recovery
      this.#channels.set(name, channel)
      this.#events.added(channel)
    }
    channel.references += 1
    return channel
  }

  /** Retains a channel for another node, until {@link letGo}. Returns `null` if the node is nearly full. */
  retainCopy(name: string): Channel | null {
    const isFull = this.#channels.size >= this.#options.maxChannels * COPIES_SHARE
    return isFull && !this.#channels.has(name) ? null : this.retain(name)
  }

  /** Ends {@link retainCopy}. The channel is not used by this, so its retention time does not begin. */
  letGo(channel: Channel): void {
    channel.references -= 1
  }

  release(channel: Channel): void {
    channel.references -= 1
    channel.idleSince = uptimeMs()
  }

  /** Removes a channel that the broker refuses. */
  forget({ name }: Channel): void {
    this.#channels.delete(name)
  }

  stats(): ChannelStats {
    return channelStats(this.#channels.values())
  }

  close(): void {
    clearInterval(this.#sweeper)
  }

  #sweep(): void {
    const { log, retentionMs } = this.#options
    this.#remove(sweepChannels(this.#channels.values(), { ...log, retentionMs }))
  }

  #remove(channels: readonly Channel[]): void {
    for (const { name } of channels) this.#channels.delete(name)
    this.#events.removed(channels)
  }
}
