import type { Random } from './random.ts'
import type { Trace } from './trace.ts'

/** How likely small misfortunes are; what happens to whole nodes and connections is in `faults.ts`. */
export interface Weather {
  /** Of one delay, that it is a long one. */
  slow: number
  /** How long a long one may be, in ms. */
  slowMs: number
  /** Of a request, that it never arrives. */
  requestLost: number
  /** Of an answer, that it never arrives though everything was done. */
  answerLost: number
  /** Of a request, or of what nodes ask each other, that it arrives twice. */
  duplicated: number
  /** Of what nodes ask each other about their logs, and of answers, that it never arrives. */
  recoveryLost: number
  /** Of a page with messages, that one of them is missing. */
  recoveryDamaged: number
  /** Of what nodes ask each other about their logs, and of answers, that it comes late. */
  recoveryLate: number
  /** Of something that is lost, that nobody is told. */
  silently: number
}

export const fairWeather: Weather = {
  slow: 0,
  slowMs: 0,
  requestLost: 0,
  answerLost: 0,
  duplicated: 0,
  recoveryLost: 0,
  recoveryDamaged: 0,
  recoveryLate: 0,
  silently: 0,
}

/** How often things have happened. */
export class Counts {
  readonly values = new Map<string, number>()

  add(what: string, count = 1): void {
    this.values.set(what, (this.values.get(what) ?? 0) + count)
  }

  addAll(others: Counts): void {
    for (const [what, count] of others.values) this.add(what, count)
  }

  get(what: string): number {
    return this.values.get(what) ?? 0
  }
}

/** What everything in a run shares. */
export interface World {
  readonly random: Random
  readonly counts: Counts
  /** Only where somebody is going to read it: it costs more than the run. */
  readonly trace: Trace | null
  weather: Weather
  /** Somebody was told of a gap, which breaks no promise, unless nothing can have been lost. */
  gap(who: string, what: string): void
  /** The promise is broken. */
  fail(who: string, what: string): void
}

/** One delay of the network, in ms: short as a rule. */
export function delayMs({ random, weather }: World): number {
  return random.chance(weather.slow) ? random.between(0, weather.slowMs) : random.between(0, 2)
}
