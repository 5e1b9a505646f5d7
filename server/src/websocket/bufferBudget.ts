/** A client, as the budget sees it. */
export interface Buffering {
  /** Bytes that wait for the client to read, and of its requests that wait for an answer. */
  readonly queuedBytes: number
}

/** After how much of the budget was queued anew it is counted what waits. */
const STEPS = 16

/**
 * How many bytes may wait for one client: `limits.bufferedBytes`, or less while `limits.totalBufferedBytes` wait for all clients
 * together. Those for whom most waits are then over their limit first. What waits is counted now and then, never for a message:
 * so the sum goes over the limit by a sixteenth of it at most, and by one write a client.
 */
export class BufferBudget {
  readonly #perClient: number
  readonly #total: number
  readonly #clients: Iterable<Buffering>
  #limit: number
  #added = 0

  constructor(perClient: number, total: number, clients: Iterable<Buffering>) {
    this.#perClient = Math.min(perClient, total)
    this.#total = total
    this.#clients = clients
    this.#limit = this.#perClient
  }

  /** How many bytes may wait for one client now. */
  get limit(): number {
    return this.#limit
  }

  /** More waits for all clients together than may, or did when it was counted. */
  get isShort(): boolean {
    return this.#limit < this.#perClient
  }

  /** More waits for a client. */
  add(bytes: number): void {
    this.#added += bytes
    if (this.#added > this.#total / STEPS) this.measure()
  }

  /** Counts what waits for all clients, and sets the limit by it. */
  measure(): number {
    const sizes: number[] = []
    let sum = 0
    for (const { queuedBytes } of this.#clients) {
      if (queuedBytes === 0) continue
      sizes.push(queuedBytes)
      sum += queuedBytes
    }
    this.#added = 0
    this.#limit = sum > this.#total ? Math.min(this.#perClient, cutTo(this.#total, sizes)) : this.#perClient
    return sum
  }
}

/** The limit with which the sizes, each cut to it, have that sum. */
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
