import { randomInt } from 'node:crypto'
import type { Broker } from '../backends/backend.ts'
import type { Counts } from '../metrics/counts.ts'
import type { EventLogger } from '../logger.ts'
import { isRefusal, logFailure } from '../errors.ts'
import { isSameRun, makeBeacon, RUNS, timeOfBeacon, type Position } from '../channels/position.ts'
import { ReceivedBeacons } from './receivedBeacons.ts'
import { uptimeMs } from '../time/uptime.ts'

const RETRY_MS = 500
/**
 * The minimum time between two beacons of all nodes together, in ms, after a burst. A node that needs a beacon of any node sends one
 * at once within this rate. Otherwise it waits, and a beacon of another node ends the wait. Every node receives every beacon, so
 * the time grows with the number of nodes. So the beacons that Redis delivers in a second do not grow with the number of nodes.
 */
const MIN_SPACING_MS = 10
const SPACING_PER_NODE_MS = 3
/** The number of beacons that may come at once before nodes wait. */
const BURST = 10
/**
 * How far a beacon may be ahead of our clock and of the broker's. The broker makes no beacon that is a day ahead (see its script),
 * so no node ignores a beacon that the broker has made.
 */
const MAX_AHEAD_MS = 2 * 86_400_000

/**
 * The beacons from which all nodes count messages alike. A beacon is a message, so it has the same place in the order of messages
 * on every node.
 */
export class Beacons {
  readonly #broker: Broker
  readonly #logger: EventLogger
  readonly #counts: Counts
  #current = 0
  #waiters: { n: number; resolve: () => void }[] = []
  #next: Promise<void> | null = null
  /** The minimum time between two beacons, for the number of nodes that received the last own beacon. */
  #spacingMs = MIN_SPACING_MS
  /** The time at which the last beacon would have been sent if all beacons had the minimum time between them. */
  #spacedMs = 0
  /** The number of own beacons in flight. */
  #inFlight = 0
  /** Runs while a beacon is needed and another node may send it first. */
  #needed: NodeJS.Timeout | undefined
  /** The callers of `fresh` whose beacon could not be sent. The next beacon is for all of them. */
  #unsent: (() => void)[] = []
  /** Whether the broker is connected and refuses to make beacons. */
  #isRefused = false
  /** Whether the numbers of the current beacon's run went backwards, so that its positions are not the same on all nodes. */
  #isOver = false
  /** The last own beacon, if no other node received it; otherwise 0. */
  #aloneAt = 0
  /** How far the broker's clock is ahead of ours. */
  #brokerAheadMs = 0
  #hasWarned = false
  /** The run of this node alone, if nodes have no common order; otherwise `null`. */
  #ownRun: number | null = null
  #isClosed = false

  readonly #received = new ReceivedBeacons()
  readonly #onRefused: () => void

  constructor(broker: Broker, logger: EventLogger, counts: Counts, onRefused: () => void) {
    this.#broker = broker
    this.#logger = logger
    this.#counts = counts
    this.#onRefused = onRefused
  }

  /** Whether the broker refuses to make beacons. Then it is useless to wait for one. */
  get isRefused(): boolean {
    return this.#isRefused
  }

  /** The current beacon. */
  get current(): number {
    return this.#current
  }

  /** Whether it is known that there was no other node at this beacon, or later. */
  wasAloneAt(beacon: number): boolean {
    return isSameRun(beacon, this.#aloneAt) && beacon <= this.#aloneAt
  }

  /** Whether messages are counted from a received beacon. */
  counts(n: number): boolean {
    return this.#broker.counts(n)
  }

  /**
   * Whether this node would have received the beacon of a position if all nodes had the same beacons. If not, the broker has
   * lost its last number, its clock was behind, and the nodes that knew the number are gone.
   */
  isForeign({ beacon }: Position): boolean {
    return isSameRun(beacon, this.#current) && this.#received.lacks(beacon)
  }

  /** Whether this node counts in a run of its own, because nodes have no common order. */
  get isSeparate(): boolean {
    return this.#ownRun !== null
  }

  /**
   * From the next beacon on, this node counts in a run of its own. Then its positions cannot be compared with those of
   * other nodes: a client that moves to another node gets a gap.
   */
  separate(): void {
    this.#ownRun = (this.#current + randomInt(1, RUNS)) % RUNS
    this.need()
  }

  /** The number of a beacon on this node. */
  own(n: number): number {
    return this.#ownRun === null ? n : makeBeacon(timeOfBeacon(n), this.#ownRun)
  }

  /** Handles a received beacon. Returns whether it is ahead of all earlier ones, and the current one from now on. */
  advance(n: number): boolean {
    if (!this.#isBelievable(n)) {
      this.#doubt(n)
      return false
    }
    if (!this.#isAhead(n)) return false
    if (!isSameRun(n, this.#current)) this.#received.clear()
    this.#received.add(n)
    this.#current = n
    this.#isOver = false
    if (this.#inFlight > 0) this.#inFlight -= 1
    else {
      // It is a beacon of another node.
      this.#aloneAt = 0
      this.#note()
    }
    clearTimeout(this.#needed)
    this.#needed = undefined
    return true
  }

  /** The numbers went backwards: the next beacon that counts is one of another run. */
  endRun(): void {
    if (this.#ownRun !== null) return this.separate()
    this.#isOver = true
    this.#inFlight = 0
    this.need()
  }

  /** Resolves the waits for the current beacon. Must be called when all other parts have processed the beacon. */
  reached(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) {
      // A beacon of an earlier run never arrives.
      if (isSameRun(waiter.n, this.#current) && waiter.n > this.#current) this.#waiters.push(waiter)
      else waiter.resolve()
    }
  }

  /** Makes sure that a beacon of any node arrives soon. */
  need(): void {
    if (this.#needed !== undefined || this.#isClosed) return
    const isAlone = this.#aloneAt > 0
    const waitMs = isAlone ? 0 : this.#spacedMs - BURST * this.#spacingMs - uptimeMs()
    // A node that is alone has one beacon in flight at a time, for all channels that are confirmed before it arrives. So
    // more clients at the same time do not make more beacons, and a single client does not wait.
    if (isAlone ? this.#inFlight === 0 : waitMs <= 0) return void this.fresh()
    // The delay is random, so that not all waiting nodes send a beacon.
    this.#needed = setTimeout(
      () => {
        this.#needed = undefined
        void this.fresh()
      },
      waitMs + Math.random() * this.#spacingMs,
    )
  }

  /** Resolves when everything that was published before this call has been received. Never rejects. */
  fresh(): Promise<void> {
    // All calls of one turn of the event loop share a beacon. Later calls need a later beacon.
    this.#next ??= new Promise((resolve) => {
      setImmediate(() => {
        this.#next = null
        this.#send(resolve)
      })
    })
    return this.#next
  }

  /** The connection broke: the beacons in flight do not arrive any more. */
  interrupt(): void {
    this.#received.clear()
    this.#inFlight = 0
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#needed)
    for (const { resolve } of this.#waiters) resolve()
    this.#waiters = []
  }

  #note(): void {
    this.#spacedMs = Math.max(this.#spacedMs, uptimeMs()) + this.#spacingMs
  }

  /** Whether the beacon becomes the current one: it is of another run, or ahead in this run, unless this run is over. */
  #isAhead(n: number): boolean {
    return !isSameRun(n, this.#current) || (n > this.#current && !this.#isOver)
  }

  #isBelievable(n: number): boolean {
    return timeOfBeacon(n) <= Date.now() + Math.max(0, this.#brokerAheadMs) + MAX_AHEAD_MS
  }

  #doubt(n: number): void {
    if (!this.#hasWarned) {
      const text = 'An implausible beacon was ignored: another program publishes on the control channel'
      this.#logger.warn({ event: 'beaconImplausible', beacon: n }, text)
    }
    this.#hasWarned = true
    // Our own clock may be wrong. The answer to this request contains the broker's time.
    void this.fresh()
  }

  #send(resolve: () => void): void {
    if (this.#isClosed) return resolve()
    const before = this.#current
    this.#note()
    this.#inFlight += 1
    this.#broker.beacon(before, this.#isOver).then(
      ({ n: made, nowMs, receivers }) => {
        this.#counts.beacons.sent += 1
        const n = this.own(made)
        this.#aloneAt = receivers <= 1 ? n : 0
        this.#spacingMs = Math.max(MIN_SPACING_MS, receivers * SPACING_PER_NODE_MS)
        const wasAwaited = this.#isBelievable(n) && this.#isAhead(n)
        this.#brokerAheadMs = nowMs - Date.now()
        this.#isRefused = false
        if (this.#isClosed) return resolve()
        // The answer is of a run that is over, or of one before the current one.
        const isOfRun = isSameRun(n, this.#current)
        const isOver = isOfRun ? this.#isOver : !isSameRun(before, this.#current)
        // The beacon may have arrived already and have been ignored, because the broker's time was not known then.
        const isIgnored = this.#isAhead(n) && !wasAwaited
        // Or the broker stopped just after it had sent the beacon, and another run has begun since.
        if (isOver || isIgnored) this.#send(resolve)
        else if (this.#isAhead(n)) this.#waiters.push({ n, resolve })
        else resolve()
      },
      (error: unknown) => {
        this.#inFlight = Math.max(0, this.#inFlight - 1)
        logFailure(this.#logger, 'beaconNotSent', error, 'No beacon could be sent; trying again')
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
