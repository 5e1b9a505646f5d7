import { sessionId } from '../backends/sessions.ts'
import { uptimeMs } from '../time/uptime.ts'
import type { Address, Addresses } from './addresses.ts'
import type { RequestRate } from './requestRate.ts'

/** A long-poll session of which this node has served a request. */
export interface KnownSession {
  /** Its id, so that the token is not hashed again for every request. */
  readonly id: string
  readonly address: Address
  /** The time at which its token bucket is full again. It is never earlier than its last request. */
  fullAt: number
}

/**
 * The long-poll sessions that use this node, by their tokens. Sessions are stored in the session store, for all nodes.
 * This class only has what one node needs for its rate limits. A token is added after the store has confirmed that it
 * is valid.
 */
export class KnownSessions {
  readonly #addresses: Addresses
  readonly #rate: RequestRate
  readonly #max: number
  readonly #lifeMs: number
  readonly #known = new Map<string, KnownSession>()

  /** @param lifeMs A session is forgotten when it has sent no request for this time. */
  constructor(addresses: Addresses, rate: RequestRate, max: number, lifeMs: number) {
    this.#addresses = addresses
    this.#rate = rate
    this.#max = max
    this.#lifeMs = lifeMs
  }

  get size(): number {
    return this.#known.size
  }

  get(token: string | undefined): KnownSession | undefined {
    return token === undefined ? undefined : this.#known.get(token)
  }

  /** Takes a token for a request. Returns false if the session has sent too many requests. */
  takeRequest(session: KnownSession): boolean {
    const fullAt = this.#rate.take(session.fullAt)
    if (fullAt !== null) session.fullAt = fullAt
    return fullAt !== null
  }

  /** Adds a session whose token is valid. The session takes over the place that its request has taken. */
  add(token: string, address: Address): void {
    if (this.#known.has(token)) return this.#addresses.leave(address)
    // A session that is forgotten early is added again by its next request.
    for (const oldest of this.#known.keys()) {
      if (this.#known.size < this.#max) break
      this.end(oldest)
    }
    this.#known.set(token, { id: sessionId(token), address, fullAt: uptimeMs() })
  }

  /** Removes a session that has ended, or that does not use this node any more. */
  end(token: string): void {
    const session = this.#known.get(token)
    if (session === undefined) return
    this.#known.delete(token)
    this.#addresses.leave(session.address)
  }

  /** Forgets sessions that no longer use this node. Must be called periodically. */
  sweep(): void {
    const end = uptimeMs() - this.#lifeMs
    for (const [token, { fullAt }] of this.#known) if (fullAt < end) this.end(token)
  }
}
