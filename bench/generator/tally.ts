import { createHistogram, performance, type RecordableHistogram } from 'node:perf_hooks'

/** Latencies in milliseconds. */
export type Latency = { p50: number; p99: number; p999: number; max: number }

/** Counts the messages that arrive, over all connections of the generator. */
export class Tally {
  deliveries = 0
  /** Messages that arrived twice or out of order. Messages whose number can't be read are not checked. */
  disorder = 0
  /** The time at which the current chunk arrived, from `performance.now()`. Set for each chunk while latency is measured. */
  now = 0
  /** Called after each chunk that was read. */
  afterChunk: (() => void) | null = null

  readonly #last: number[] = []
  #latency: { histogram: RecordableHistogram; scheduled: readonly number[]; first: number } | null = null

  /** Adds a connection and returns its index. */
  addConnection(): number {
    return this.#last.push(-1) - 1
  }

  /** The number of the last message of a connection, or -1 before the first one. */
  lastOf(index: number): number {
    return this.#last[index]!
  }

  beginChunk(): void {
    if (this.#latency !== null) this.now = performance.now()
  }

  count(index: number, number: number): void {
    this.deliveries++
    if (number < 0) return
    if (number <= this.#last[index]!) this.disorder++
    else this.#last[index] = number
    if (this.#latency === null) return
    const scheduled = this.#latency.scheduled[number - this.#latency.first]
    if (scheduled === undefined) return
    const microseconds = Math.round((this.now - scheduled) * 1000)
    this.#latency.histogram.record(microseconds > 0 ? microseconds : 1)
  }

  /** From now on, records the time since `scheduled[number - first]` for each message. */
  measureLatency(scheduled: readonly number[], first: number): void {
    this.#latency = { histogram: createHistogram({ figures: 3 }), scheduled, first }
  }

  /** Ends the measurement and returns it. All values are 0 if no message arrived. */
  takeLatency(): Latency {
    const histogram = this.#latency?.histogram
    this.#latency = null
    if (histogram === undefined || histogram.count === 0) return { p50: 0, p99: 0, p999: 0, max: 0 }
    return {
      p50: histogram.percentile(50) / 1000,
      p99: histogram.percentile(99) / 1000,
      p999: histogram.percentile(99.9) / 1000,
      max: histogram.max / 1000,
    }
  }
}
