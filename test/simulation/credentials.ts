import { accept } from '../../server/src/clients/accept.ts'
import type { Cluster } from './cluster.ts'
import { Random } from './random.ts'

/** How late a node may notice that credentials have ended, in ms. */
const LATE_MS = 1000

type Auth = Readonly<Record<string, unknown>>

/**
 * The credentials of a client say when they end. Clients of the base have credentials without an end, and are never asked for new
 * ones.
 */
export function accepted({ endsAt, holder }: Auth): unknown {
  if (typeof holder !== 'string') return true
  return accept({ mayBeAsked: true }, typeof endsAt === 'number' ? { expiresAt: endsAt } : {})
}

const DAY_MS = 86_400_000

/**
 * The credentials of the clients, in a third of the runs. Nobody may be in for longer than they last. The random numbers are separate
 * ones, so that the other runs do not depend on them.
 */
export class Credentials {
  readonly #random: Random
  /** Whether clients have any, in this run. */
  readonly areUsed: boolean
  /** When those of each session end, by its token. */
  readonly #ends = new Map<string, number>()
  /** When each client whose credentials do not end was last accepted. They are new only if it was asked for them. */
  readonly #accepted = new Map<string, number>()
  /** When all clients were last asked, by a node that could tell all others. */
  #askedAt = -Infinity
  #areLong = false

  constructor(seed: number) {
    this.#random = new Random(seed)
    this.areUsed = this.#random.chance(1 / 3)
  }

  /** The `auth` function of a client; `undefined` if nobody asks for its credentials. They last for longer than a request may take. */
  ofClient(holder: string): (() => Auth) | undefined {
    if (!this.areUsed || this.#random.chance(0.3)) return undefined
    if (this.#random.chance(0.3)) return () => ({ holder })
    return () => {
      return { holder, endsAt: Date.now() + (this.#areLong ? DAY_MS : this.#random.between(2000, 9000)) }
    }
  }

  /** Asks for new credentials from time to time, at a random node, until `end`. After that, they outlast the run. */
  askUntil(end: number, cluster: Cluster): void {
    if (!this.areUsed) return
    const later = (): void => {
      if (Date.now() >= end) return void (this.#areLong = true)
      const now = Date.now()
      const asked = this.#random.pick(cluster.staying)?.reauthorize()
      // It rejects if the node has no connection to the broker.
      asked?.then(
        () => void (this.#askedAt = Math.max(this.#askedAt, now)),
        () => {},
      )
      setTimeout(later, this.#random.between(1000, 12_000))
    }
    setTimeout(later, this.#random.between(1000, 12_000))
  }

  /** A node has accepted these credentials. */
  accepted({ holder, endsAt }: Auth): void {
    if (typeof holder === 'string' && endsAt === undefined) this.#accepted.set(holder, Date.now())
  }

  /** The broker has lost what it keeps for nodes that were away. */
  lost(): void {
    this.#askedAt = -Infinity
  }

  /** The clients that were in when all were asked for credentials, and have not given new ones. Call it some time after the faults. */
  get unasked(): string[] {
    return [...this.#accepted].flatMap(([holder, at]) => (at < this.#askedAt ? holder : []))
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
