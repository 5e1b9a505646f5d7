/** How many round trips the median is made of. */
const KEPT = 20

/** How long the last handshake took, and the last round trips. In milliseconds. */
export class Latency {
  handshakeMs: number | null = null
  readonly #roundTrips: number[] = []

  add(ms: number): void {
    this.#roundTrips.push(ms)
    if (this.#roundTrips.length > KEPT) this.#roundTrips.shift()
  }

  get last(): number | undefined {
    return this.#roundTrips.at(-1)
  }

  get median(): number | undefined {
    const sorted = this.#roundTrips.toSorted((a, b) => a - b)
    return sorted[Math.floor(sorted.length / 2)]
  }
}
