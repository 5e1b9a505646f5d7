import { PATIENCE_MS, within } from './waiting.ts'

/** A message of the server, as parsed JSON: nothing about its fields is taken for granted. */
export type Wire = { readonly __type: string; readonly [field: string]: unknown }

/** Keeps what has arrived until somebody asks, so that no message is missed and none is seen twice. */
export class Inbox {
  readonly #messages: Wire[] = []
  readonly #arrivals = new Set<() => void>()
  #ended: string | undefined

  get size(): number {
    return this.#messages.length
  }

  /** What has arrived and was not asked for yet. */
  get pending(): readonly Wire[] {
    return this.#messages
  }

  push(...messages: Wire[]): void {
    this.#messages.push(...messages)
    this.#wake()
  }

  /** Whoever waits, or will wait, for more fails with this reason. */
  end(reason: string): void {
    this.#ended ??= reason
    this.#wake()
  }

  /** Takes the oldest message, or the oldest that fits, waiting for it. */
  async take(what: string, fits: (message: Wire) => boolean = () => true, ms = PATIENCE_MS): Promise<Wire> {
    for (;;) {
      const index = this.#messages.findIndex(fits)
      if (index >= 0) return this.#messages.splice(index, 1)[0]!
      if (this.#ended !== undefined) throw new Error(`No ${what} came: ${this.#ended}`)
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
