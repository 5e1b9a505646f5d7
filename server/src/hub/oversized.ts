import type { Counts } from '../metrics/counts.ts'
import type { EventLogger } from '../logger.ts'
import { uptimeMs } from '../time/uptime.ts'

/** The interval of warnings about bodies that are too large, in ms. */
const WARNING_INTERVAL_MS = 60_000

/** Detects published bodies that are too large, and logs a warning at most once per interval. */
export class Oversized {
  readonly #maxBytes: number
  readonly #logger: EventLogger
  readonly #counts: Counts
  /** The number of these bodies since the start. */
  count = 0
  #warnedAt = -Infinity
  #unlogged = 0

  constructor(maxBytes: number, logger: EventLogger, counts: Counts) {
    this.#maxBytes = maxBytes
    this.#logger = logger
    this.#counts = counts
  }

  includes(channel: string, body: string): boolean {
    // A UTF-16 code unit has at most three bytes in UTF-8, so most bodies need not be measured.
    if (body.length * 3 <= this.#maxBytes) return false
    const bytes = Buffer.byteLength(body)
    if (bytes <= this.#maxBytes) return false
    this.count += 1
    this.#counts.limits.publishedBytes += 1
    this.#warn(channel, bytes)
    return true
  }

  #warn(channel: string, bytes: number): void {
    const now = uptimeMs()
    if (now - this.#warnedAt < WARNING_INTERVAL_MS) return void (this.#unlogged += 1)
    this.#warnedAt = now
    const more = this.#unlogged === 0 ? {} : { unlogged: this.#unlogged }
    this.#unlogged = 0
    this.#logger.warn(
      { event: 'publishedTooLarge', channel, bytes, limit: this.#maxBytes, ...more },
      'A published body is larger than limits.publishedBytes: it is not delivered, and clients receive a gap',
    )
  }
}
