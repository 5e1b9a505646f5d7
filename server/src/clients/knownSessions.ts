import { uptimeMs } from '../time/uptime.ts'
import type { Address, Addresses } from './addresses.ts'
import type { RequestRate } from './requestRate.ts'

/** A long-poll session of which this node has served a request. */
export interface KnownSession {
  readonly address: Address
  /** When its bucket for requests is full again; so it has asked for nothing since. */
  fullAt: number
}

/**
 * The long-poll sessions that use this node, by their tokens. Sessions live in the store, for all nodes; this is only what
 * one node has to know to count requests. A token gets in here when the store has said that it is good.
 */
export class KnownSessions {
  readonly #addresses: Addresses
  readonly #rate: RequestRate
  readonly #max: number
  readonly #lifeMs: number
  readonly #known = new Map<string, KnownSession>()

  /** A session is forgotten when it has asked for nothing for `lifeMs`. */
  constructor(addresses: Addresses, rate: RequestRate, max: number, lifeMs: number) {
    this.#addresses = addresses
    this.#rate = rate
    this.#max = max
    this.#lifeMs = lifeMs
  }

  get(token: string | undefined): KnownSession | undefined {
    return token === undefined ? undefined : this.#known.get(token)
  }

  /** False if the session has sent too many requests. */
  takeRequest(session: KnownSession): boolean {
    const fullAt = this.#rate.take(session.fullAt)
    if (fullAt !== null) session.fullAt = fullAt
    return fullAt !== null
  }

  retryAfterSeconds({ fullAt }: KnownSession): number {
    return this.#rate.retryAfterSeconds(fullAt)
  }

  /** The session is a good one. It takes over the place that its request has taken. */
  add(token: string, address: Address): void {
    if (this.#known.has(token)) return this.#addresses.leave(address)
    // Forgotten before its time, the session is known again with its next request.
    for (const oldest of this.#known.keys()) {
      if (this.#known.size < this.#max) break
      this.end(oldest)
    }
    this.#known.set(token, { address, fullAt: uptimeMs() })
  }

  /** The session has ended, or this node has no more to do with it. */
  end(token: string): void {
    const session = this.#known.get(token)
    if (session === undefined) return
    this.#known.delete(token)
    this.#addresses.leave(session.address)
  }

  /** To be called now and then: forgets sessions that use this node no longer. */
  sweep(): void {
    const end = uptimeMs() - this.#lifeMs
    for (const [token, { fullAt }] of this.#known) if (fullAt < end) this.end(token)
  }
}
