/**
 * Measures how long messages take from their arrival to the last socket. It costs nothing while nobody observes it.
 */
export class Latency {
  readonly #observers = new Set<(seconds: number) => void>()
  /** When the messages arrived that are not written yet, in ms. */
  #arrivals: number[] = []

  get isObserved(): boolean {
    return this.#observers.size > 0
  }

  /** Calls the function with the time of each message, in seconds. Returns the function that ends this. */
  observe(observer: (seconds: number) => void): () => void {
    this.#observers.add(observer)
    return () => void this.#observers.delete(observer)
  }

  /** A message has arrived that will be written. */
  arrived(): void {
    this.#arrivals.push(performance.now())
  }

  /** All messages that have arrived are written. */
  written(): void {
    if (this.#arrivals.length === 0) return
    const now = performance.now()
    const arrivals = this.#arrivals
    this.#arrivals = []
    for (const observer of this.#observers) for (const at of arrivals) observer((now - at) / 1000)
  }
}

/** The upper bounds of the buckets, in seconds. A node with 10,000 subscribers of a channel needs about 0.1 s for a message. */
export const LATENCY_BUCKETS: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
]

/** Counts values by buckets. */
export class Histogram {
  /** The number of values in each bucket. The last one is for values above all bounds. */
  readonly counts: number[]
  sum = 0
  readonly #bounds: readonly number[]

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.counts = [...bounds, Infinity].map(() => 0)
  }

  add(value: number): void {
    let bucket = 0
    while (bucket < this.#bounds.length && value > this.#bounds[bucket]!) bucket += 1
    this.counts[bucket]! += 1
    this.sum += value
  }
}
