import type { Broadcaster } from '@broadcaster/server'
import { prometheus, type PrometheusOptions } from '@broadcaster/server/prometheus'
import { Registry } from 'prom-client'

/** The metrics of a broadcaster, as they are scraped. */
export class Metrics {
  readonly register = new Registry()

  constructor(live: Broadcaster, options: PrometheusOptions = {}) {
    prometheus(live, { register: this.register, ...options })
  }

  /** The sum of all values of a metric that have these labels. */
  async value(name: string, labels: Record<string, string> = {}): Promise<number> {
    const found = await this.#values(`broadcaster_${name}`)
    const wanted = Object.entries(labels)
    return found
      .filter((each) => wanted.every(([label, value]) => each.labels[label] === value))
      .reduce((sum, each) => sum + each.value, 0)
  }

  /** The values of a metric that are not 0, by their label. */
  async by(name: string, label: string): Promise<Record<string, number>> {
    const found = await this.#values(`broadcaster_${name}`)
    return Object.fromEntries(
      found.filter(({ value }) => value !== 0).map(({ labels, value }) => [String(labels[label]), value]),
    )
  }

  async #values(name: string) {
    const all = await this.register.getMetricsAsJSON()
    const metric = all.find((each) => each.name === name)
    if (metric === undefined) throw new Error(`There is no metric ${name}`)
    return metric.values
  }
}

/** How often each limit was reached, without those that were not. */
export function limitsReached(live: Broadcaster): Promise<Record<string, number>> {
  return new Metrics(live).by('limits_reached_total', 'limit')
}
