import { accept } from '../../server/src/clients/accept.ts'
import type { Cluster } from './cluster.ts'
import { Random } from './random.ts'

/** How late a node may notice that credentials have ended, in ms. */
const LATE_MS = 1000

type Auth = Readonly<Record<string, unknown>>

/** The credentials of a client say when they end. Clients of the base have credentials without an end. */
export function accepted({ endsAt }: Auth): unknown {
  return typeof endsAt === 'number' ? accept({ mayBeAsked: true }, { expiresAt: endsAt }) : true
}

const DAY_MS = 86_400_000

/**
 * The credentials of the clients, in a third of the runs. Nobody may be in for longer than they last. The random numbers are separate
 * ones, so that the other runs do not depend on them.
 */
export class Credentials {
  readonly #random: Random
  readonly #haveEnds: boolean
  /** When those of each session end, by its token. */
  readonly #ends = new Map<string, number>()
  #areLong = false

  constructor(seed: number) {
    this.#random = new Random(seed)
    this.#haveEnds = this.#random.chance(1 / 3)
  }

  /** The `auth` function of a client; `undefined` if its credentials do not end. They last for longer than a request may take. */
  ofClient(): (() => Auth) | undefined {
    if (!this.#haveEnds || this.#random.chance(0.3)) return undefined
    return () => ({ endsAt: Date.now() + (this.#areLong ? DAY_MS : this.#random.between(2000, 9000)) })
  }

  /** Asks for new credentials from time to time, at a random node, until `end`. After that, they outlast the run. */
  askUntil(end: number, cluster: Cluster): void {
    if (!this.#haveEnds) return
    const later = (): void => {
      if (Date.now() >= end) return void (this.#areLong = true)
      this.#random.pick(cluster.staying)?.reauthorize()
      setTimeout(later, this.#random.between(1000, 12_000))
    }
    setTimeout(later, this.#random.between(1000, 12_000))
  }

  began(token: string, auth: Auth | null): void {
    this.#ends.set(token, endOf(auth))
  }

  /** Whether the session may not get anything any more. */
  areOver(token: string): boolean {
    return isLate(this.#ends.get(token) ?? Infinity)
  }
}

export function endOf(auth: Auth | null): number {
  return typeof auth?.['endsAt'] === 'number' ? auth['endsAt'] : Infinity
}

export function isLate(endsAt: number): boolean {
  return Date.now() > endsAt + LATE_MS
}
