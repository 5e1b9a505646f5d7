import type { Latency } from './latency.ts'
import type { MetricSource, Reading } from './reading.ts'

/** The metrics of a node, until it is closed. */
export class NodeMetrics implements MetricSource {
  readonly #node: { reading(): Reading; readonly latency: Latency }
  readonly #listeners = new Set<() => void>()
  isClosed = false

  constructor(node: { reading(): Reading; readonly latency: Latency }) {
    this.#node = node
  }

  get latency(): Latency {
    return this.#node.latency
  }

  read(): Reading {
    return this.#node.reading()
  }

  onClose(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  close(): void {
    this.isClosed = true
    for (const listener of this.#listeners) listener()
  }
}
