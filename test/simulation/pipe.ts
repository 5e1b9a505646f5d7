/**
 * Transports items in one direction and in order, each with a random delay. Items that are due at the same time arrive together,
 * like the lines of one read from a socket.
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

  /** The items in flight. */
  get items(): T[] {
    return this.#queue.map(({ item }) => item)
  }

  send(item: T): void {
    const at = Math.max(Date.now() + this.#delayMs(), this.#earliest)
    this.#earliest = at
    this.#queue.push({ item, at })
    if (this.#queue.length === 1) this.#wait()
  }

  /** Nothing arrives for this time. */
  stall(ms: number): void {
    this.#earliest = Math.max(this.#earliest, Date.now() + ms)
    for (const entry of this.#queue) entry.at = Math.max(entry.at, Date.now() + ms)
    if (this.#queue.length > 0) this.#wait()
  }

  /** Drops all items in flight. */
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
    // This comes before the delivery, which may send, stall or clear.
    if (this.#queue.length > 0) this.#wait()
    this.#deliver(due.map(({ item }) => item))
  }
}
