import type { Channel } from '../channels/channel.ts'
import type { Counts } from '../metrics/counts.ts'
import { uptimeMs } from '../time/uptime.ts'

/**
 * The minimum interval between two searches. A search over many channels takes milliseconds, so it is not done for
 * every new channel.
 */
const SEARCH_INTERVAL_MS = 100
/** The number of channels that one search removes, as a share of the limit. Later requests then need no search. */
const SHARE = 0.01

/**
 * Keeps a node within its limit of channels. If the limit is reached, idle channels are removed before their retention
 * time is over, beginning with those that have been idle longest.
 */
export class Room {
  readonly #channels: ReadonlyMap<string, Channel>
  readonly #maxChannels: number
  readonly #counts: Counts
  readonly #letGo: (channels: readonly Channel[]) => void
  #searchedAt = -Infinity

  constructor(
    channels: ReadonlyMap<string, Channel>,
    maxChannels: number,
    counts: Counts,
    letGo: (channels: readonly Channel[]) => void,
  ) {
    this.#channels = channels
    this.#maxChannels = maxChannels
    this.#counts = counts
    this.#letGo = letGo
  }

  /** Whether the node may hold one more channel. */
  hasRoom(): boolean {
    if (this.#channels.size < this.#maxChannels) return true
    this.#counts.limits.channels += 1
    this.#makeRoom()
    return this.#channels.size < this.#maxChannels
  }

  #makeRoom(): void {
    const now = uptimeMs()
    if (now - this.#searchedAt < SEARCH_INTERVAL_MS) return
    this.#searchedAt = now
    const idle = [...this.#channels.values()].filter(({ isIdle }) => isIdle)
    idle.sort((a, b) => a.idleSince - b.idleSince)
    this.#letGo(idle.slice(0, Math.ceil(this.#maxChannels * SHARE)))
  }
}
