import { randomInt } from 'node:crypto'
import type { Backend } from '../backends/backend.ts'
import type { Logger } from '../logger.ts'
import { isRefusal } from '../errors.ts'
import { isSameRun, makeBeacon, timeOfBeacon } from '../channels/position.ts'
import { uptimeMs } from '../time/uptime.ts'

const RETRY_MS = 500
/**
 * A node that needs a beacon, no matter from which node, sends one at once as long as all nodes together send no more than one
 * in this time. Beyond that it waits for its turn, and a beacon of another node ends the wait. So the number of beacons does
 * not grow with the number of nodes.
 */
const SPACING_MS = 10
/** As many beacons may come at once before nodes wait. */
const BURST = 10
/**
 * How far a beacon may be ahead of our clock and of the broker's. The broker makes none that is a day ahead (see its script);
 * nobody ignores one that it has made.
 */
const MAX_AHEAD_MS = 2 * 86_400_000

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
  /** When the beacons so far would have been sent if they were `SPACING_MS` apart. */
  #spacedMs = 0
  /** Own beacons that were sent and have not come yet. */
  #underWay = 0
  /** Runs while a beacon is needed and another node may send it first. */
  #needed: NodeJS.Timeout | undefined
  /** Those whose beacon could not be sent: the next one is for all of them. */
  #unsent: (() => void)[] = []
  /** The broker is there, and makes no beacons. */
  #isRefused = false
  /** The broker makes numbers below the current one again: that was never its own, or of a clock that was days off. */
  #isDisowned = false
  /** How far the broker's clock is ahead of ours. */
  #brokerAheadMs = 0
  #hasWarned = false
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
    if (!this.#isBelievable(n)) {
      this.#doubt(n)
      return false
    }
    if (!this.#isAhead(n)) return false
    this.#current = n
    this.#isDisowned = false
    if (this.#underWay > 0) this.#underWay -= 1
    else this.#note()
    clearTimeout(this.#needed)
    this.#needed = undefined
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

  /** Has a beacon come soon, from any node. */
  need(): void {
    if (this.#needed !== undefined || this.#isClosed) return
    const waitMs = this.#spacedMs - BURST * SPACING_MS - uptimeMs()
    if (waitMs <= 0) return void this.fresh()
    // At random, so that not all nodes that wait send one.
    this.#needed = setTimeout(
      () => {
        this.#needed = undefined
        void this.fresh()
      },
      waitMs + Math.random() * SPACING_MS,
    )
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
    clearTimeout(this.#needed)
    for (const { resolve } of this.#waiters) resolve()
    this.#waiters = []
  }

  #note(): void {
    this.#spacedMs = Math.max(this.#spacedMs, uptimeMs()) + SPACING_MS
  }

  /** Of another run than the current one: then nothing of that comes any more. */
  #isAhead(n: number): boolean {
    return n > this.#current || !isSameRun(n, this.#current) || this.#isDisowned
  }

  #isBelievable(n: number): boolean {
    return timeOfBeacon(n) <= Date.now() + Math.max(0, this.#brokerAheadMs) + MAX_AHEAD_MS
  }

  #doubt(n: number): void {
    if (!this.#hasWarned) {
      const text =
        'A beacon that can not be right was ignored: somebody else publishes on the control channel'
      this.#logger.warn({ beacon: n }, text)
    }
    this.#hasWarned = true
    // It may be our clock that is wrong: the broker tells what its own says.
    void this.fresh()
  }

  #send(resolve: () => void): void {
    if (this.#isClosed) return resolve()
    const before = this.#current
    this.#note()
    this.#underWay += 1
    this.#backend.beacon(before).then(
      ({ n, nowMs }) => {
        const wasAwaited = this.#isBelievable(n) && this.#isAhead(n)
        this.#brokerAheadMs = nowMs - Date.now()
        if (isSameRun(n, before) && n <= before && this.#current === before) this.#isDisowned = true
        this.#isRefused = false
        if (this.#isClosed) return resolve()
        const isOver = !isSameRun(n, this.#current) && !isSameRun(before, this.#current)
        // It may have come already, and have been ignored for what is known only now.
        const isIgnored = this.#isAhead(n) && !wasAwaited
        // Or the broker ended when it had just sent it, and another run has begun since.
        if (isOver || isIgnored) this.#send(resolve)
        else if (this.#isAhead(n)) this.#waiters.push({ n, resolve })
        else resolve()
      },
      (error: unknown) => {
        this.#underWay = Math.max(0, this.#underWay - 1)
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
