import { isMatch, type Match } from '../input/match.ts'

interface Link {
  readonly revocation: { readonly match: Match; readonly channel: string | null } | null
  next: Link | null
  /** Whether the links after this one were removed from memory. */
  isForgotten: boolean
}

/**
 * A point in the list of revocations. An operation that calls the application stores the current point when it begins.
 */
export type Moment = Readonly<Link>

/** The maximum number of revocations that are kept for operations that are still running. */
const MAX_KEPT = 1000

/**
 * Tells an operation which revocations came while it was running. Such an operation has an answer of the application
 * that may be older than the revocation; it must not be used then. The revocations are a linked list. Each points to
 * the next one, and an operation points to the last one before it began. So revocations that no operation needs are
 * garbage collected.
 */
export class Revocations {
  #last: Link = { revocation: null, next: null, isForgotten: false }
  /**
   * The most recent revocations, oldest first. Its length is bounded, because a callback that never returns would
   * otherwise keep all later revocations in memory.
   */
  readonly #kept: Link[] = []

  get now(): Moment {
    return this.#last
  }

  /** Clients whose context matches are disconnected, or have to send credentials again. */
  disconnected(match: Match): void {
    this.#add({ match, channel: null })
  }

  /** Clients whose context matches are unsubscribed from the channel. */
  unsubscribed(match: Match, channel: string): void {
    this.#add({ match, channel })
  }

  /** Whether a client with this context may have been disconnected since then. */
  hasDisconnected(since: Moment, context: unknown): boolean {
    return has(since, ({ match, channel }) => channel === null && isMatch(match, context))
  }

  /** Whether any client may have been disconnected since then. For a client whose context is not known yet. */
  hasDisconnectedAnybody(since: Moment): boolean {
    return has(since, ({ channel }) => channel === null)
  }

  /** Whether a client with this context may have been unsubscribed from the channel since then. */
  hasTaken(since: Moment, context: unknown, name: string): boolean {
    return has(since, ({ match, channel }) => channel === name && isMatch(match, context))
  }

  #add(revocation: NonNullable<Link['revocation']>): void {
    const link: Link = { revocation, next: null, isForgotten: false }
    this.#last.next = link
    this.#last = link
    if (this.#kept.push(link) <= MAX_KEPT) return
    const oldest = this.#kept.shift()!
    oldest.next = null
    oldest.isForgotten = true
  }
}

function has(since: Moment, isMeant: (revocation: NonNullable<Link['revocation']>) => boolean): boolean {
  for (let link: Moment = since; ; link = link.next) {
    if (link !== since && isMeant(link.revocation!)) return true
    // The rest of the list is gone, so the client has to be treated as revoked.
    if (link.isForgotten) return true
    if (link.next === null) return false
  }
}
