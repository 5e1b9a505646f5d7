import { monitorEventLoopDelay, performance } from 'node:perf_hooks'

/** What a process has used since it began to measure. */
export type Load = {
  /** CPU time per wall time, of all threads: 1 is one core. */
  readonly cpu: number
  /** How much later than due the event loop got to a timer, in ms. */
  readonly loopDelay: { readonly p99: number; readonly max: number }
}

/** Begins to measure. Returns a function for the values since then. */
export function measureLoad(): () => Load {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delay.enable()
  const begun = performance.now()
  const before = process.cpuUsage()
  return () => {
    const { user, system } = process.cpuUsage(before)
    const overdue = (ns: number) => Math.max(0, Math.round(ns / 1e6 - RESOLUTION_MS))
    return {
      cpu: (user + system) / 1000 / (performance.now() - begun),
      loopDelay: { p99: overdue(delay.percentile(99)), max: overdue(delay.max) },
    }
  }
}

const RESOLUTION_MS = 5
