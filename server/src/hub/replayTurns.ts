import { Turns } from '../cluster/turns.ts'

/** The maximum number of bytes of replays per turn of the event loop, unless a single replay is larger. */
const BYTES_PER_TURN = 256 * 1024
/** Smaller replays do not wait. Most clients that come back have missed little. */
const SMALL_BYTES = 16 * 1024

interface Replay {
  readonly bytes: number
  readonly begin: () => void
}

/**
 * Spreads large replays over turns of the event loop. If many clients come back at once, the texts of all their replays
 * would otherwise be made in one turn, and nothing else would be served meanwhile. Clients take turns.
 */
export class ReplayTurns {
  readonly #waiting = new Turns<object, Replay>()
  #bytes = 0
  #isScheduled = false

  /** Whether a replay of this size need not wait. */
  isSmall(bytes: number): boolean {
    return bytes < SMALL_BYTES
  }

  /** Returns `null` if a replay of this size may be made now. Otherwise resolves when it may be made. */
  take(owner: object, bytes: number): Promise<void> | null {
    if (this.isSmall(bytes)) return null
    if (this.#bytes < BYTES_PER_TURN) {
      this.#add(bytes)
      return null
    }
    return new Promise((begin) => this.#waiting.add({ bytes, begin }, owner))
  }

  #add(bytes: number): void {
    this.#bytes += bytes
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => this.#nextTurn())
  }

  #nextTurn(): void {
    this.#isScheduled = false
    this.#bytes = 0
    while (this.#bytes < BYTES_PER_TURN) {
      const next = this.#waiting.take()
      if (next === undefined) return
      this.#add(next.task.bytes)
      next.task.begin()
    }
  }
}
