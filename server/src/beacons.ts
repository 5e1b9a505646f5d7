import type { Backend } from './backends/backend.ts'
import type { Logger } from './logger.ts'

const RETRY_MS = 500

/**
 * The numbers from which all nodes count messages alike. A beacon is a message like any other, so in every node's order
 * it stands at the same place.
 */
export class Beacons {
  readonly #backend: Backend
  readonly #logger: Logger
  #current = 0
  #waiters: { n: number; resolve: () => void }[] = []
  #next: Promise<void> | null = null
  #isClosed = false

  constructor(backend: Backend, logger: Logger) {
    this.#backend = backend
    this.#logger = logger
  }

  /** The last one that was seen. */
  get current(): number {
    return this.#current
  }

  /** A beacon has come. Returns whether it is ahead of all before it, and from now on the current one. */
  advance(n: number): boolean {
    if (n <= this.#current) return false
    this.#current = n
    return true
  }

  /** Tells those who waited for the current beacon, after everything else has taken notice of it. */
  reached(): void {
    const reached = this.#waiters.filter(({ n }) => n <= this.#current)
    this.#waiters = this.#waiters.filter(({ n }) => n > this.#current)
    for (const { resolve } of reached) resolve()
  }

  /** Resolves when everything that was published before this call has come in. Never rejects. */
  fresh(): Promise<void> {
    if (!this.#backend.isOrdered) return Promise.resolve()
    // One for all who ask in the same turn. Later ones need a later beacon.
    this.#next ??= new Promise((resolve) => {
      setImmediate(() => {
        this.#next = null
        this.#send(resolve)
      })
    })
    return this.#next
  }

  close(): void {
    this.#isClosed = true
    for (const { resolve } of this.#waiters) resolve()
    this.#waiters = []
  }

  #send(resolve: () => void): void {
    if (this.#isClosed) return resolve()
    this.#backend.beacon(this.#current).then(
      (n) => {
        if (n <= this.#current || this.#isClosed) resolve()
        else this.#waiters.push({ n, resolve })
      },
      (error: unknown) => {
        this.#logger.debug({ err: error }, 'No beacon could be sent; trying again')
        setTimeout(() => this.#send(resolve), RETRY_MS).unref()
      },
    )
  }
}
