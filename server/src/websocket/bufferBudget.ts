/** A client of the budget. */
export interface Buffering {
  /** The number of bytes that wait for the client to read them, and of its requests that wait for an answer. */
  readonly queuedBytes: number
}

/** The number of times that the waiting bytes are counted while the whole budget is being queued. */
const STEPS = 16

/**
 * The limit of the bytes that may wait for one client: `limits.bufferedBytes`, or less while `limits.totalBufferedBytes` wait for
 * all clients together. The clients with the most waiting bytes exceed the lowered limit first. The bytes of all clients are
 * counted only from time to time, because counting them for each message would be too slow. So the total can exceed its limit by
 * a sixteenth, plus one write for each client.
 */
export class BufferBudget {
  readonly #perClient: number
  readonly #total: number
  readonly #clients: Iterable<Buffering>
  readonly #onShort: () => void
  #limit: number
  #added = 0

  /** @param onShort Called when the limit is lowered, and was not before. */
  constructor(perClient: number, total: number, clients: Iterable<Buffering>, onShort: () => void) {
    this.#perClient = Math.min(perClient, total)
    this.#total = total
    this.#clients = clients
    this.#onShort = onShort
    this.#limit = this.#perClient
  }

  /** The maximum number of bytes that may wait for one client now. */
  get limit(): number {
    return this.#limit
  }

  /** Whether the limit is lowered, because too many bytes waited for all clients at the last count. */
  get isShort(): boolean {
    return this.#limit < this.#perClient
  }

  /** More bytes wait for a client. */
  add(bytes: number): void {
    this.#added += bytes
    if (this.#added > this.#total / STEPS) this.measure()
  }

  /** Counts the bytes that wait for all clients, sets the limit, and returns the sum. */
  measure(): number {
    const sizes: number[] = []
    let sum = 0
    for (const { queuedBytes } of this.#clients) {
      if (queuedBytes === 0) continue
      sizes.push(queuedBytes)
      sum += queuedBytes
    }
    this.#added = 0
    const wasShort = this.isShort
    this.#limit = sum > this.#total ? Math.min(this.#perClient, cutTo(this.#total, sizes)) : this.#perClient
    if (this.isShort && !wasShort) this.#onShort()
    return sum
  }
}

/** Returns the limit for which the sizes, each cut to the limit, have this sum. */
function cutTo(sum: number, sizes: number[]): number {
  sizes.sort((a, b) => a - b)
  let rest = sum
  for (const [i, size] of sizes.entries()) {
    const share = rest / (sizes.length - i)
    if (size > share) return Math.floor(share)
    rest -= size
  }
  return Infinity
}
