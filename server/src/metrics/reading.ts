import type { Counts, TransportName } from './counts.ts'
import type { Latency } from './latency.ts'

/** The state of one node at one moment, from which all metrics are read. */
export interface Reading {
  readonly counts: Counts
  /** The number of refusals, by kind. */
  readonly refusals: Readonly<Record<string, number>>
  readonly refusedControlMessages: number
  /** Authenticated WebSockets, and waiting polls. */
  readonly clients: Readonly<Record<TransportName, number>>
  readonly sessions: number
  readonly lagging: number
  readonly queuedBytes: Readonly<Record<TransportName, number>>
  readonly isListening: boolean
  readonly isHealthy: boolean
  readonly subscriptions: Readonly<Record<TransportName, number>>
  readonly channels: number
  readonly copiedChannels: number
  readonly uncopiedChannels: number
  readonly logMessages: number
  readonly logBytes: number
  readonly backfillBytes: number
}

/** What an exporter gets of a broadcaster. */
export interface MetricSource {
  read(): Reading
  readonly latency: Latency
  readonly isClosed: boolean
  /** Calls the function when the broadcaster has been closed. Returns the function that ends this. */
  onClose(listener: () => void): () => void
}

/**
 * The property of a broadcaster with its {@link MetricSource}. It is a symbol of the whole process, because an application may load
 * the broadcaster as an ES module and an exporter as CommonJS.
 */
export const METRICS = Symbol.for('@broadcaster/server metrics')
