import { register as globalRegister } from 'prom-client'
import type { Broadcaster } from './broadcaster.ts'
import { BroadcasterError } from './errors.ts'
import { Histogram, LATENCY_BUCKETS } from './metrics/latency.ts'
import { DELIVERY_DURATION, METRICS_LIST, prometheusName, type Labels, type Metric } from './metrics/list.ts'
import { invalidArgument, nameLabel, readName, sourceOf, Sources } from './metrics/sources.ts'
import type { MetricSource, Reading } from './metrics/reading.ts'

/** What is used of a register of prom-client, of any version and any copy of it. */
export interface PrometheusRegister {
  registerMetric(metric: never): void
  getSingleMetric(name: string): unknown
  removeSingleMetric(name: string): void
}

export interface PrometheusOptions {
  /**
   * The register of prom-client.
   *
   * @default the global register of prom-client
   */
  register?: PrometheusRegister
  /**
   * The beginning of every name.
   *
   * @default 'broadcaster_'
   */
  prefix?: string
  /**
   * The value of the label `broadcaster`. Several broadcasters in one register need different names.
   *
   * @default there is no such label
   */
  name?: string
}

/**
 * Adds the metrics of a broadcaster to a register of prom-client, until the broadcaster is closed. Returns the function that removes
 * them. A second call with the same arguments adds nothing, except what `register.clear()` has removed.
 *
 * @throws {BroadcasterError} `invalidOption`, also if the register has another metric of one of the names. `closed`
 */
export function prometheus(
  live: Pick<Broadcaster, 'stats'>,
  { register = globalRegister, prefix = 'broadcaster_', name }: PrometheusOptions = {},
): () => void {
  const source = sourceOf('prometheus', live)
  const label = readName('prometheus', name)
  if (typeof prefix !== 'string' || !/^([a-zA-Z_:][a-zA-Z0-9_:]*)?$/.test(prefix))
    throw invalidArgument('prometheus', 'prefix', 'letters, digits, _ and :, and no digit first', prefix)
  if (typeof register?.registerMetric !== 'function')
    throw invalidArgument('prometheus', 'register', 'a register of prom-client', register)
  const byPrefix = exported.get(register) ?? new Map<string, Export>()
  exported.set(register, byPrefix)
  const found = byPrefix.get(prefix) ?? new Export(register, prefix)
  byPrefix.set(prefix, found)
  return found.add(label, source)
}

/** By prefix. */
const exported = new WeakMap<PrometheusRegister, Map<string, Export>>()

/** The metrics with one prefix in one register, of one or several broadcasters. */
class Export {
  readonly #register: PrometheusRegister
  readonly #families: readonly Family[]
  readonly #sources = new Sources('prometheus')
  readonly #histograms = new Map<string, Histogram>()
  /** The readings of the scrape that is being made. */
  #readings: Map<MetricSource, Reading> | null = null

  constructor(register: PrometheusRegister, prefix: string) {
    this.#register = register
    const nameOf = (metric: Parameters<typeof prometheusName>[0]) => prefix + prometheusName(metric)
    this.#families = [
      ...METRICS_LIST.map((metric) => new Family(nameOf(metric), metric, () => this.#valuesOf(metric))),
      new Family(nameOf(DELIVERY_DURATION), DELIVERY_DURATION, (family) => this.#buckets(family)),
    ]
  }

  add(name: string, source: MetricSource): () => void {
    this.#checkNames()
    const stop = this.#sources.add(name, source, () => {
      const histogram = new Histogram(LATENCY_BUCKETS)
      this.#histograms.set(name, histogram)
      const stopObserving = source.latency.observe((seconds) => histogram.add(seconds))
      return () => {
        stopObserving()
        this.#histograms.delete(name)
        if (this.#sources.size === 0) this.#unregister()
      }
    })
    // prom-client takes objects with these methods. Its types ask for its own classes.
    for (const family of this.#families) this.#register.registerMetric(family as never)
    return stop
  }

  #unregister(): void {
    for (const family of this.#families) {
      const isOurs = this.#register.getSingleMetric(family.key) === family
      if (isOurs) this.#register.removeSingleMetric(family.key)
    }
  }

  #checkNames(): void {
    for (const family of this.#families) {
      const other = this.#register.getSingleMetric(family.key)
      if (other === undefined || other === family) continue
      const text = `prometheus(): the register has another metric ${family.key}: give a prefix`
      throw new BroadcasterError('invalidOption', text)
    }
  }

  #valuesOf(metric: Metric): Value[] {
    const values: Value[] = []
    for (const [name, source] of this.#sources) {
      for (const { value, labels } of metric.read(this.#reading(source))) {
        values.push({ value, labels: { ...nameLabel(name), ...labels } })
      }
    }
    return values
  }

  /** prom-client asks all metrics in one turn, so all values of a scrape are of the same moment, and are read once. */
  #reading(source: MetricSource): Reading {
    if (this.#readings === null) {
      this.#readings = new Map()
      queueMicrotask(() => (this.#readings = null))
    }
    const reading = this.#readings.get(source) ?? source.read()
    this.#readings.set(source, reading)
    return reading
  }

  #buckets({ name: familyName }: Family): Value[] {
    return [...this.#histograms].flatMap(([name, { counts, sum }]) => {
      const labels = nameLabel(name)
      let count = 0
      const buckets = counts.map((inBucket, i) => {
        count += inBucket
        const le = LATENCY_BUCKETS[i] ?? '+Inf'
        return { metricName: `${familyName}_bucket`, value: count, labels: { le, ...labels } }
      })
      return [
        ...buckets,
        { metricName: `${familyName}_sum`, value: sum, labels },
        { metricName: `${familyName}_count`, value: count, labels },
      ]
    })
  }
}

interface Value {
  readonly value: number
  readonly labels: Labels | Readonly<Record<string, string | number>>
  readonly metricName?: string
}

/** A metric as prom-client sees it. Its values are read when it is scraped. */
class Family {
  /** The name in the register. */
  readonly key: string
  /** With the content type of OpenMetrics, prom-client removes `_total` here. */
  name: string
  readonly type: string
  readonly help: string
  readonly aggregator: string
  readonly #read: (family: Family) => Value[]

  constructor(
    name: string,
    { type, help, aggregator = 'sum' }: { type: string; help: string; aggregator?: string },
    read: (family: Family) => Value[],
  ) {
    this.key = name
    this.name = name
    this.type = type
    this.help = help
    this.aggregator = aggregator
    this.#read = read
  }

  async get(): Promise<object> {
    const { name, type, help, aggregator } = this
    return { name, type, help, aggregator, values: this.#read(this) }
  }

  /** The values are those of the broadcaster, which counts from its start. */
  reset(): void {}
}
