import { PATIENCE_MS, within } from './waiting.ts'

/** A message of the server, as parsed JSON. Its fields are not validated. */
export type Wire = { readonly __type: string; readonly [field: string]: unknown }

/** A queue of arrived messages. No message is missed, and none is returned twice. */
export class Inbox {
  readonly #messages: Wire[] = []
  readonly #arrivals = new Set<() => void>()
  #ended: string | undefined

  get size(): number {
    return this.#messages.length
  }

  /** Messages that have arrived and were not taken yet. */
  get pending(): readonly Wire[] {
    return this.#messages
  }

  push(...messages: Wire[]): void {
    this.#messages.push(...messages)
    this.#wake()
  }

  /** Calls that wait for a message, now or later, fail with this reason. */
  end(reason: string): void {
    this.#ended ??= reason
    this.#wake()
  }

  /** Takes the oldest message, or the oldest one that fits. Waits until there is one. */
  async take(what: string, fits: (message: Wire) => boolean = () => true, ms = PATIENCE_MS): Promise<Wire> {
    for (;;) {
      const index = this.#messages.findIndex(fits)
      if (index >= 0) return this.#messages.splice(index, 1)[0]!
      if (this.#ended !== undefined) throw new Error(`No ${what} arrived: ${this.#ended}`)
      let arrived = () => {}
      const arrival = new Promise<void>((resolve) => this.#arrivals.add((arrived = resolve)))
      try {
        await within(arrival, `${what}; there is ${JSON.stringify(this.#messages)}`, ms)
      } finally {
        this.#arrivals.delete(arrived)
      }
    }
  }

  #wake(): void {
    for (const arrived of this.#arrivals) arrived()
  }
}
