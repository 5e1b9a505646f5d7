import { setTimeout as delay } from 'node:timers/promises'
import type { LimitName } from '../metrics/counts.ts'
import { uptimeMs } from '../time/uptime.ts'

/** The maximum time that a request waits for its turn, in ms. */
const LONGEST_WAIT_MS = 5000

interface Budget {
  /** The number of tokens in the bucket. A negative number is the number of requests that wait. */
  names: number
  /** The time of that number, in ms since the process started. */
  updatedAt: number
}

/**
 * Limits the rate at which one client can make this node join channels that it does not hold yet. Each new channel is a
 * subscription at the broker, and outlives the client's own subscription by the retention time. Each client has a token
 * bucket. A full bucket is not stored.
 */
export class NewNames {
  readonly #perSecond: number
  readonly #burst: number
  readonly #limitCounts: Record<LimitName, number>
  readonly #budgets = new Map<unknown, Budget>()

  constructor(perSecond: number, burst: number, limitCounts: Record<LimitName, number>) {
    this.#limitCounts = limitCounts
    this.#perSecond = perSecond
    this.#burst = burst
  }

  /**
   * Resolves when it is the client's turn for one more name. Resolves at once with false if that would take too long.
   */
  async turn(client: unknown): Promise<boolean> {
    if (this.#perSecond === Infinity || this.#burst === Infinity) return true
    const waitMs = this.#take(client)
    if (waitMs !== null && waitMs <= 0) return true
    this.#limitCounts.newChannelsPerSecond += 1
    if (waitMs === null) return false
    await delay(waitMs)
    return true
  }

  /** The client has left for good. */
  forget(client: unknown): void {
    this.#budgets.delete(client)
  }

  /** Removes the buckets that are full. Must be called periodically. */
  sweep(): void {
    const now = uptimeMs()
    for (const [client, budget] of this.#budgets) {
      if (this.#namesAt(budget, now) >= this.#burst) this.#budgets.delete(client)
    }
  }

  #take(client: unknown): number | null {
    const now = uptimeMs()
    const budget = this.#budgets.get(client)
    const names = (budget === undefined ? this.#burst : this.#namesAt(budget, now)) - 1
    const waitMs = Math.ceil((-names / this.#perSecond) * 1000)
    if (waitMs > LONGEST_WAIT_MS) return null
    if (budget === undefined) this.#budgets.set(client, { names, updatedAt: now })
    else Object.assign(budget, { names, updatedAt: now })
    return waitMs
  }

  #namesAt({ names, updatedAt }: Budget, now: number): number {
    return Math.min(this.#burst, names + ((now - updatedAt) / 1000) * this.#perSecond)
  }
}
