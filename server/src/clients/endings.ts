/** A tenth of the life of credentials may be lost to spread the ends of many clients, but not more than this. */
const MOST_EARLY_MS = 10_000
/** A client with less time left keeps all of it. Its `auth` function may have returned the credentials that are about to end. */
const LEAST_LIFE_MS = 10_000
/** How late a client is asked for credentials again, at most, in ms. */
const CHECK_MS = 100

/**
 * When a client has to send credentials again that end at `expiresAt`, in ms since 1970. It is a random time shortly before, because
 * the credentials of thousands of clients may end at the same time.
 */
export function endOf(expiresAt: number): number {
  const lifeMs = expiresAt - Date.now()
  if (lifeMs === Infinity || lifeMs <= LEAST_LIFE_MS) return expiresAt
  return expiresAt - Math.random() * Math.min(MOST_EARLY_MS, lifeMs / 10)
}

/** What a client has on this node: a connection, or a poll. */
export interface Ending {
  /** The credentials of the client have ended. */
  expire(): void
}

/**
 * What ends at a time of the system clock. All share one timer, which compares the clock. So a time may be further away than the
 * longest timer, and it is kept after the process or its machine was suspended, or the clock was set.
 */
export class Endings {
  readonly #ends = new Map<Ending, number>()
  #next = Infinity
  #timer: NodeJS.Timeout | null = null

  /** `at` is in ms since 1970; `Infinity` for never. */
  add(ending: Ending, at: number): void {
    if (at === Infinity) return
    this.#ends.set(ending, at)
    this.#next = Math.min(this.#next, at)
    this.#timer ??= setInterval(() => this.#check(), CHECK_MS).unref()
  }

  delete(ending: Ending): void {
    this.#ends.delete(ending)
  }

  #check(): void {
    const now = Date.now()
    if (this.#ends.size > 0 && now < this.#next) return
    this.#next = Infinity
    for (const [ending, at] of this.#ends) {
      if (at > now) {
        this.#next = Math.min(this.#next, at)
      } else {
        this.#ends.delete(ending)
        ending.expire()
      }
    }
    if (this.#ends.size > 0 || this.#timer === null) return
    clearInterval(this.#timer)
    this.#timer = null
  }
}
