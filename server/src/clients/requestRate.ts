import { uptimeMs } from '../time/uptime.ts'

/**
 * A token bucket. What differs from client to client is one number, which the client keeps: the time at which its bucket
 * is full again. So a bucket that is full needs no memory at all.
 */
export class RequestRate {
  readonly #tokenMs: number
  /** How long an empty bucket takes to be full. */
  readonly #roomMs: number

  constructor(perSecond: number, burst: number) {
    this.#tokenMs = 1000 / perSecond
    this.#roomMs = perSecond === Infinity ? Infinity : burst * this.#tokenMs
  }

  /** Takes tokens. Returns the time at which the bucket is full again, or `null` if it has not so many. */
  take(fullAt: number, tokens = 1): number | null {
    const now = uptimeMs()
    const next = Math.max(fullAt, now) + tokens * this.#tokenMs
    return next - now > this.#roomMs ? null : next
  }

  /** Takes what `ms` bring in, or all that is left. */
  takeTime(fullAt: number, ms: number): number {
    const now = uptimeMs()
    return this.#roomMs === Infinity ? now : Math.min(Math.max(fullAt, now) + ms, now + this.#roomMs)
  }

  /** Puts a token back. */
  putBack(fullAt: number): number {
    return fullAt - this.#tokenMs
  }

  /** How long a client should wait whose bucket is empty. */
  retryAfterSeconds(fullAt: number): number {
    const ms = fullAt + this.#tokenMs - this.#roomMs - uptimeMs()
    return Math.max(1, Math.ceil(ms / 1000))
  }
}
