import { expired, missed, type Answer } from './answers.ts'
import { logFailure } from '../errors.ts'
import type { LongPollHost } from './longpoll.ts'
import type { Poll } from './poll.ts'
import { sessionLife, type Known, type SessionOwner } from '../backends/sessions.ts'
import type { Undelivered } from '../channels/undelivered.ts'

/** How long other requests of a session that has missed messages may still be in flight, in ms. */
const LAST_REQUESTS_MS = 2000

/** Ends sessions, and makes the answers to requests whose session has ended. */
export class SessionEnds {
  readonly #host: LongPollHost
  readonly #undelivered: Undelivered
  readonly #idleMs: number
  /** The sessions that will be ended soon. */
  readonly #ending = new Set<string>()

  constructor(host: LongPollHost, undelivered: Undelivered) {
    this.#host = host
    this.#undelivered = undelivered
    this.#idleMs = sessionLife(host.timeoutMs).idleMs
  }

  /** Returns `null` if the session can be used. */
  answerFor(id: string, session: Known<SessionOwner> | null): Answer | null {
    if (session === null) return this.#goneAnswer(id)
    if (session.hasMissed) {
      // The node that is responsible for ending it may be gone.
      this.#endSoon(id)
      return missed()
    }
    if (!this.isOver(session)) return this.isFenced(session) ? expired() : null
    this.#undelivered.end(id)
    this.#end(id)
    return expired()
  }

  /** Whether the credentials of the session have ended. */
  isOver({ endsAt = Infinity }: SessionOwner): boolean {
    return endsAt <= Date.now()
  }

  isFenced({ client, generation }: SessionOwner): boolean {
    return this.#host.isFenced(client, generation)
  }

  /**
   * Ends the session of a client of the base that has missed messages or a channel. For a while, its other requests get the same
   * answer. Returns whether `poll` was still the session's poll.
   */
  async miss(id: string, { id: poller, seq }: Poll): Promise<boolean> {
    const last = { seq, positions: {}, isLast: true } as const
    if (!(await this.#host.sessions.commitAnswer(id, poller, last, {}))) return false
    this.#undelivered.end(id)
    this.#endSoon(id)
    return true
  }

  #endSoon(id: string): void {
    if (this.#ending.has(id)) return
    this.#ending.add(id)
    const end = (): void => {
      this.#ending.delete(id)
      this.#end(id)
    }
    setTimeout(end, LAST_REQUESTS_MS).unref()
  }

  #end(id: string): void {
    const { sessions, logger } = this.#host
    // If Redis is unavailable, the session expires by itself, or the next request ends it.
    sessions
      .end(id)
      .catch((error: unknown) => logFailure(logger, 'sessionNotEnded', error, 'A session could not be ended'))
  }

  #goneAnswer(id: string): Answer {
    // According to this node, the session should still exist for a long time. So the store has lost it, for instance because
    // Redis has restarted. This is not a refusal.
    const isLost = this.#undelivered.shouldLive(id, this.#idleMs / 2)
    this.#undelivered.end(id)
    return isLost ? missed() : expired()
  }
}
