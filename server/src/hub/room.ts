import type { Channel } from '../channels/channel.ts'
import { uptimeMs } from '../time/uptime.ts'

/** Looking through all channels takes milliseconds where they are many: not for every client that asks for one more. */
const SEARCH_INTERVAL_MS = 100
/** Channels that one search lets go, as a share of the limit: the next ones need no search. */
const SHARE = 0.01

/**
 * Keeps a node within its limit of channels. Where there is no room for another one, those that nobody listens to any more
 * are let go before their time, those first that have been idle longest.
 */
export class Room {
  readonly #channels: ReadonlyMap<string, Channel>
  readonly #maxChannels: number
  readonly #letGo: (channels: readonly Channel[]) => void
  #searchedAt = -Infinity

  constructor(
    channels: ReadonlyMap<string, Channel>,
    maxChannels: number,
    letGo: (channels: readonly Channel[]) => void,
  ) {
    this.#channels = channels
    this.#maxChannels = maxChannels
    this.#letGo = letGo
  }

  /** Whether the node may hold one more channel. */
  hasPlace(): boolean {
    if (this.#channels.size >= this.#maxChannels) this.#makeRoom()
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
