/**
 * Carries things one way, in order, each with a delay of its own. What is due at the same moment arrives together, as
 * the lines of one read from a socket do.
 */
export class Pipe<T> {
  readonly #delayMs: () => number
  readonly #deliver: (items: readonly T[]) => void
  #queue: { item: T; at: number }[] = []
  #timer: NodeJS.Timeout | undefined
  #earliest = 0

  constructor(delayMs: () => number, deliver: (items: readonly T[]) => void) {
    this.#delayMs = delayMs
    this.#deliver = deliver
  }

  /** What is on its way. */
  get items(): T[] {
    return this.#queue.map(({ item }) => item)
  }

  send(item: T): void {
    const at = Math.max(Date.now() + this.#delayMs(), this.#earliest)
    this.#earliest = at
    this.#queue.push({ item, at })
    if (this.#queue.length === 1) this.#wait()
  }

  /** Nothing arrives for so long. */
  stall(ms: number): void {
    this.#earliest = Math.max(this.#earliest, Date.now() + ms)
    for (const entry of this.#queue) entry.at = Math.max(entry.at, Date.now() + ms)
    if (this.#queue.length > 0) this.#wait()
  }

  /** Everything on its way is lost. */
  clear(): void {
    this.#queue = []
    clearTimeout(this.#timer)
  }

  #wait(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#arrive(), this.#queue[0]!.at - Date.now())
  }

  #arrive(): void {
    const now = Date.now()
    const first = this.#queue.findIndex(({ at }) => at > now)
    const due = first === -1 ? this.#queue : this.#queue.slice(0, first)
    this.#queue = first === -1 ? [] : this.#queue.slice(first)
    // Before delivering: that may send, stall or clear.
    if (this.#queue.length > 0) this.#wait()
    this.#deliver(due.map(({ item }) => item))
  }
}
