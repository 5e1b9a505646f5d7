import { randomInt } from 'node:crypto'
import type { Backend } from './backends/backend.ts'
import type { Logger } from './logger.ts'
import { isRefusal } from './errors.ts'
import { isSameRun, makeBeacon, timeOfBeacon } from './position.ts'

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
  /** Those whose beacon could not be sent: the next one is for all of them. */
  #unsent: (() => void)[] = []
  /** The broker is there, and makes no beacons. */
  #isRefused = false
  #isClosed = false
  readonly #ownRun = randomInt(1024)

  readonly #onRefused: () => void

  constructor(backend: Backend, logger: Logger, onRefused: () => void) {
    this.#backend = backend
    this.#logger = logger
    this.#onRefused = onRefused
  }

  /** Whether the broker has said that it can't: then there is nothing to wait for. */
  get isRefused(): boolean {
    return this.#isRefused
  }

  /** The last one that was seen. */
  get current(): number {
    return this.#current
  }

  /** Where nodes have no common order, a number of our own does. */
  makeOwn(): void {
    this.#current = makeBeacon(Math.max(timeOfBeacon(this.#current) + 1, Date.now()), this.#ownRun)
  }

  /** A beacon has come. Returns whether it is ahead of all before it, and from now on the current one. */
  advance(n: number): boolean {
    if (!this.#isAhead(n)) return false
    this.#current = n
    return true
  }

  /** Tells those who waited for the current beacon, after everything else has taken notice of it. */
  reached(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) {
      // One of a run that is over never comes.
      if (isSameRun(waiter.n, this.#current) && waiter.n > this.#current) this.#waiters.push(waiter)
      else waiter.resolve()
    }
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

  /** Of another run than the current one: then nothing of that comes any more. */
  #isAhead(n: number): boolean {
    return n > this.#current || !isSameRun(n, this.#current)
  }

  #send(resolve: () => void): void {
    if (this.#isClosed) return resolve()
    const before = this.#current
    this.#backend.beacon(before).then(
      (n) => {
        this.#isRefused = false
        if (this.#isClosed) return resolve()
        const isOver = !isSameRun(n, this.#current) && !isSameRun(before, this.#current)
        // The broker ended when it had just sent it, and another run has begun since.
        if (isOver) this.#send(resolve)
        else if (this.#isAhead(n)) this.#waiters.push({ n, resolve })
        else resolve()
      },
      (error: unknown) => {
        this.#logger.debug({ err: error }, 'No beacon could be sent; trying again')
        this.#isRefused = isRefusal(error)
        if (this.#isRefused) this.#onRefused()
        if (this.#unsent.push(resolve) === 1) setTimeout(() => this.#sendAgain(), RETRY_MS).unref()
      },
    )
  }

  #sendAgain(): void {
    const unsent = this.#unsent
    this.#unsent = []
    this.#send(() => {
      for (const resolve of unsent) resolve()
    })
  }
}
