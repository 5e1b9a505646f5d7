import { isMatch, type Match } from '../input/match.ts'

interface Link {
  readonly revocation: { readonly match: Match; readonly channel: string | null } | null
  next: Link | null
  /** What came after it has been forgotten. */
  isForgotten: boolean
}

/** A point between two revocations. Work that asks the application notes it when it begins. */
export type Moment = Readonly<Link>

/** Revocations that are remembered at most for work that is under way. */
const MAX_KEPT = 1000

/**
 * What was revoked while something was under way: an answer that the application has given before may be of before, and
 * does not count. Each revocation points to the next, and whatever is under way to the last one before it began: what nobody
 * needs any more is gone by itself.
 */
export class Revocations {
  #last: Link = { revocation: null, next: null, isForgotten: false }
  /** The newest, oldest first. A callback that never answers must not keep all that ever come. */
  readonly #kept: Link[] = []

  get now(): Moment {
    return this.#last
  }

  /** Clients whose context matches are cut off. */
  disconnected(match: Match): void {
    this.#add({ match, channel: null })
  }

  /** Clients whose context matches lose the channel. */
  unsubscribed(match: Match, channel: string): void {
    this.#add({ match, channel })
  }

  /** Whether a client with this context may have been cut off since. */
  hasDisconnected(since: Moment, context: unknown): boolean {
    return has(since, ({ match, channel }) => channel === null && isMatch(match, context))
  }

  /** The same, of a client of whom nobody knows who it is. */
  hasDisconnectedAnybody(since: Moment): boolean {
    return has(since, ({ channel }) => channel === null)
  }

  /** Whether a client with this context may have lost the channel since. */
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
    // Nobody can know.
    if (link.isForgotten) return true
    if (link.next === null) return false
  }
}
