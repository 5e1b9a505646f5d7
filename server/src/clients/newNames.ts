import { setTimeout as delay } from 'node:timers/promises'
import { uptimeMs } from '../time/uptime.ts'

/** A request does not wait longer than this for its turn, in ms. */
const LONGEST_WAIT_MS = 5000

interface Budget {
  /** Names that may come at once; below 0, as many requests wait. */
  names: number
  /** When that was so, in ms since the process started. */
  at: number
}

/**
 * How fast one client may make this node join channels that it does not hold yet: each is a subscription at the broker that
 * outlives the client's own by the retention time. A token bucket for each client; one that is full is not kept.
 */
export class NewNames {
  readonly #perSecond: number
  readonly #burst: number
  readonly #budgets = new Map<unknown, Budget>()

  constructor(perSecond: number, burst: number) {
    this.#perSecond = perSecond
    this.#burst = burst
  }

  /** Resolves when it is the client's turn for one more name; with false at once, if that would take too long. */
  async turn(client: unknown): Promise<boolean> {
    if (this.#perSecond === Infinity || this.#burst === Infinity) return true
    const waitMs = this.#take(client)
    if (waitMs === null) return false
    if (waitMs > 0) await delay(waitMs)
    return true
  }

  /** The client has gone for good. */
  forget(client: unknown): void {
    this.#budgets.delete(client)
  }

  /** To be called now and then: lets go of the budgets that are full. */
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
    if (budget === undefined) this.#budgets.set(client, { names, at: now })
    else Object.assign(budget, { names, at: now })
    return waitMs
  }

  #namesAt({ names, at }: Budget, now: number): number {
    return Math.min(this.#burst, names + ((now - at) / 1000) * this.#perSecond)
  }
}
