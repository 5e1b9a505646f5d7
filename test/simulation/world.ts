import type { Credentials } from './credentials.ts'
import type { Safety } from './oracle.ts'
import type { Random } from './random.ts'
import type { Trace } from './trace.ts'

/** The probabilities of faults of single messages. Faults of whole nodes and connections are in `faults.ts`. */
export interface Conditions {
  /** A delay is long. */
  slow: number
  /** The longest delay, in ms. */
  slowMs: number
  /** A request does not arrive. */
  requestLost: number
  /** The answer to a request does not arrive. */
  answerLost: number
  /** A request, or a recovery message between nodes, arrives twice. */
  duplicated: number
  /** A recovery message between nodes does not arrive. */
  recoveryLost: number
  /** A page lacks one of its messages. */
  recoveryDamaged: number
  /** A recovery message between nodes arrives late. */
  recoveryLate: number
  /** The sender does not notice a loss. */
  silently: number
}

export const faultless: Conditions = {
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

export const unreliable: Conditions = {
  slow: 0.1,
  slowMs: 300,
  requestLost: 0.03,
  answerLost: 0.06,
  duplicated: 0.05,
  recoveryLost: 0.05,
  recoveryDamaged: 0.1,
  recoveryLate: 0.05,
  silently: 0.2,
}

/** Counts events by name. */
export class Counts {
  readonly values = new Map<string, number>()

  add(what: string, count = 1): void {
    this.values.set(what, (this.values.get(what) ?? 0) + count)
  }

  addAll(others: Counts): void {
    for (const [what, count] of others.values) this.add(what, count)
  }
}

/** The state that all parts of a run share. */
export interface World {
  readonly random: Random
  readonly counts: Counts
  /** `null` unless the trace will be printed or compared, because it costs more than the run. */
  readonly trace: Trace | null
  conditions: Conditions
  /** Who has been listening since when, and when faults happened. */
  readonly safety: Safety
  readonly credentials: Credentials
  /**
   * Records that a client was told of a gap, in this channel if it is known. In a covered profile, this is a failure, and in a copied
   * one, if it was safe.
   */
  gap(who: string, channel: string | null, what: string): void
  /** Records that the guarantee is broken. */
  fail(who: string, what: string): void
}

/** A random delay of the network, in ms. Most delays are short. */
export function delayMs({ random, conditions }: World): number {
  return random.chance(conditions.slow) ? random.between(0, conditions.slowMs) : random.between(0, 2)
}
