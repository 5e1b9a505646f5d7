import type { Poll as PollMessage } from '@broadcaster/protocol'
import type { Poll } from './poll.ts'
import { sessionLife, type Session } from '../backends/sessions.ts'
import { uptimeMs } from '../time/uptime.ts'

/** The maximum time for which a node serves the polls of a session without asking the store, in ms. */
const MAX_LEASE_MS = 5000

/** A session that the store has given to a poll of this node. */
export interface Lease {
  /** The id of that poll. The store has it as the poll of the session. The polls under the lease have the same id. */
  readonly poll: string
  readonly session: Session
  readonly until: number
}

/**
 * The sessions whose polls this node serves without asking the store. It is told of everything that changes such a session: the node
 * that changes it finds the last poll in the store, and sends a control message about that poll to the node of the poll. So the
 * lease of a session ends with any control message about the session, and all leases end when control messages may have been missed.
 *
 * Only for clients that send their positions: the store has to confirm what other clients have received.
 */
export class Leases {
  readonly #isListening: () => boolean
  readonly #leaseMs: number
  readonly #leases = new Map<string, Lease>()
  /** Increases when control messages may have been missed. */
  #epoch = 0

  /** @param isListening Whether this node receives control messages now. */
  constructor(timeoutMs: number, isListening: () => boolean) {
    this.#isListening = isListening
    // After a poll that has asked the store, a session lives for at least `enoughMs`. A poll needs at least `idleMs` (PROTOCOL.md L9).
    const { idleMs, enoughMs } = sessionLife(timeoutMs)
    this.#leaseMs = Math.min(MAX_LEASE_MS, enoughMs - idleMs)
  }

  /** The lease for this poll of a session, or `null` if the store has to be asked. */
  find(id: string, { positions }: PollMessage): Lease | null {
    const lease = this.#leases.get(id)
    if (lease === undefined || positions === undefined) return null
    const isValid = lease.until > uptimeMs() && this.#isListening()
    return isValid && hasSameChannels(lease.session, positions) ? lease : null
  }

  /** A poll is about to ask the store. Returns what {@link add} needs; `null` if there can be no lease. */
  begin(id: string): number | null {
    this.#leases.delete(id)
    return this.#isListening() ? this.#epoch : null
  }

  /** The store has given the session to this poll, which is still its poll. */
  add(id: string, poll: Poll, session: Session, epoch: number | null): void {
    if (epoch !== this.#epoch || session.version === 0 || poll.hasChanged) return
    this.#leases.set(id, { poll: poll.id, session, until: uptimeMs() + this.#leaseMs })
  }

  /** The session has changed, or may have. */
  end(id: string): void {
    this.#leases.delete(id)
  }

  /** Control messages may have been missed. */
  endAll(): void {
    this.#epoch += 1
    this.#leases.clear()
  }

  /** Forgets the leases that are over. Must be called periodically. */
  sweep(): void {
    const now = uptimeMs()
    for (const [id, { until }] of this.#leases) if (until <= now) this.#leases.delete(id)
  }
}

/** Whether the client knows of the same channels. If not, the session may have changed on another node just now. */
function hasSameChannels({ channels }: Session, positions: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(positions)
  return names.length === channels.size && names.every((name) => channels.has(name))
}
