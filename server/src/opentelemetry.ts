import { metrics } from '@opentelemetry/api'
import type { Broadcaster } from './broadcaster.ts'
import { LATENCY_BUCKETS } from './metrics/latency.ts'
import { DELIVERY_DURATION, METRICS_LIST, type Metric } from './metrics/list.ts'
import type { MetricSource } from './metrics/reading.ts'
import { invalidArgument, nameLabel, readName, sourceOf, Sources } from './metrics/sources.ts'

/**
 * What is used of a `Meter` of `@opentelemetry/api`, of any version and any copy of it. Its own type differs between versions, and an
 * application may have two.
 */
export interface OpenTelemetryMeter {
  createObservableCounter(name: string, options: object): unknown
  createObservableUpDownCounter(name: string, options: object): unknown
  createObservableGauge(name: string, options: object): unknown
  createHistogram(
    name: string,
    options: object,
  ): { record(value: number, attributes: Record<string, string>): void }
  addBatchObservableCallback(callback: (result: any) => void, observables: any[]): void
  removeBatchObservableCallback(callback: (result: any) => void, observables: any[]): void
}

export interface OpenTelemetryOptions {
  /**
   * Makes the instruments.
   *
   * @default the meter `@broadcaster/server` of the global provider
   */
  meter?: OpenTelemetryMeter
  /**
   * The value of the attribute `broadcaster`. Several broadcasters with one meter need different names.
   *
   * @default there is no such attribute
   */
  name?: string
}

/**
 * Observes the metrics of a broadcaster with a meter of OpenTelemetry, until the broadcaster is closed. Returns the function that
 * ends this. A second call with the same arguments has no effect. If there is no `meter`, register the provider before.
 *
 * @throws {BroadcasterError} `invalidOption`; `closed`
 */
export function openTelemetry(
  live: Pick<Broadcaster, 'stats'>,
  { meter, name }: OpenTelemetryOptions = {},
): () => void {
  const source = sourceOf('openTelemetry', live)
  const label = readName('openTelemetry', name)
  if (meter !== undefined && typeof meter?.createObservableCounter !== 'function')
    throw invalidArgument('openTelemetry', 'meter', 'a Meter of @opentelemetry/api', meter)
  // `getMeter` may return another object for each call.
  const key = meter ?? metrics
  const sources = exported.get(key) ?? new Sources('openTelemetry')
  exported.set(key, sources)
  return sources.add(label, source, () =>
    begin(meter ?? metrics.getMeter('@broadcaster/server'), source, nameLabel(label)),
  )
}

interface ObservableResult {
  observe(instrument: unknown, value: number, attributes: object): void
}

/** The broadcasters of each meter. */
const exported = new WeakMap<object, Sources>()

/** Begins to observe. Returns the function that ends it. */
function begin(
  meter: OpenTelemetryMeter,
  source: MetricSource,
  attributes: Record<string, string>,
): () => void {
  const instruments = new Map(METRICS_LIST.map((metric) => [metric, instrumentOf(meter, metric)]))
  const observables = [...instruments.values()]
  const observe = (result: ObservableResult) => {
    const reading = source.read()
    for (const [metric, instrument] of instruments) {
      for (const { value, labels } of metric.read(reading)) {
        result.observe(instrument, value, { ...attributes, ...labels })
      }
    }
  }
  meter.addBatchObservableCallback(observe, observables)
  const histogram = meter.createHistogram(nameOf(DELIVERY_DURATION), {
    description: DELIVERY_DURATION.help,
    unit: 's',
    advice: { explicitBucketBoundaries: [...LATENCY_BUCKETS] },
  })
  const stopObserving = source.latency.observe((seconds) => histogram.record(seconds, attributes))
  return () => {
    stopObserving()
    meter.removeBatchObservableCallback(observe, observables)
  }
}

/** A gauge of which the sum over processes has a meaning is an `UpDownCounter` in OpenTelemetry. */
function instrumentOf(meter: OpenTelemetryMeter, metric: Metric): unknown {
  const options = { description: metric.help, unit: unitOf(metric) }
  if (metric.type === 'counter') return meter.createObservableCounter(nameOf(metric), options)
  return metric.aggregator === undefined
    ? meter.createObservableUpDownCounter(nameOf(metric), options)
    : meter.createObservableGauge(nameOf(metric), options)
}

function nameOf({ name }: { readonly name: string }): string {
  return `broadcaster.${name}`
}

/** Units of UCUM; what is counted is an annotation. */
function unitOf({ unit }: Metric): string {
  if (unit === 'bytes') return 'By'
  return unit === 'seconds' ? 's' : `{${unit}}`
}
