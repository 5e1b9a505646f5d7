import { uptimeMs } from '../time/uptime.ts'

/**
 * A token bucket. Its only state is one number per client, which the caller stores: the time at which the bucket is
 * full again. So a full bucket needs no memory.
 */
export class RequestRate {
  readonly #tokenMs: number
  /** The time in which an empty bucket becomes full. */
  readonly #capacityMs: number

  constructor(perSecond: number, burst: number) {
    this.#tokenMs = 1000 / perSecond
    this.#capacityMs = perSecond === Infinity ? Infinity : burst * this.#tokenMs
  }

  /** Takes tokens. Returns the new time at which the bucket is full again, or `null` if it has too few tokens. */
  take(fullAt: number, tokens = 1): number | null {
    const now = uptimeMs()
    const next = Math.max(fullAt, now) + tokens * this.#tokenMs
    return next - now > this.#capacityMs ? null : next
  }

  /** Takes the tokens that are refilled in `ms`, or all that are left. */
  takeTime(fullAt: number, ms: number): number {
    const now = uptimeMs()
    return this.#capacityMs === Infinity ? now : Math.min(Math.max(fullAt, now) + ms, now + this.#capacityMs)
  }

  /** Puts one token back. */
  putBack(fullAt: number): number {
    return fullAt - this.#tokenMs
  }
}
