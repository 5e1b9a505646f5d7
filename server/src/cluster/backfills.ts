import { deferred } from '@broadcaster/protocol'
import type { Channel, Reader } from '../channels/channel.ts'
import type { ChannelLog } from '../channels/log.ts'
import { comparePositions, isSameRun, type Position } from '../channels/position.ts'
import { uptimeMs } from '../time/uptime.ts'
import { reasonBefore, type Beginnings } from './beginnings.ts'
import type { Page, PageQueries } from './pages.ts'
import type { Seeker } from './recovery.ts'
import type { Counts } from '../metrics/counts.ts'
import { Turns } from './turns.ts'
import type { Whereabouts } from './inquiries.ts'
import type { WhereaboutsQuestions } from './whereabouts.ts'

/**
 * The maximum number of bytes of one page, unless a single message is larger. Both nodes handle a page in one piece, in
 * about a millisecond.
 */
const MAX_PAGE_BYTES = 64 * 1024
/** At least this number of pages may be in flight, so that a client does not wait for the page of another one. */
const MIN_PAGES = 8
/** The bytes that one client may have in flight, in pages of the maximum size. */
const PAGES_OF_CLIENT = 4
/** How long a node remembers how far back the logs of the other nodes reach, in ms. */
const REFUSAL_MS = 1000

/**
 * - `covered`: the log has every message after the position
 * - `refused`: no other node has the missing messages
 * - `late`: another node has them, but not all have arrived in time. Those that have arrived stay in the log.
 * - `changed`: the log was replaced or trimmed meanwhile
 */
export type Outcome = 'covered' | 'refused' | 'late' | 'changed'

/** Up to where a log has to be extended backwards. */
export interface Goal {
  /** Whether the log has enough. */
  isReached(log: ChannelLog): boolean
  /** Whether messages before `start` are needed, where the log begins now or where that of another node begins. */
  isBefore(start: Position): boolean
  /** All messages after this position are needed. `null`: as many as the other node has. */
  readonly since: Position | null
  /** The maximum number of messages. */
  readonly max: number
}

/** The log has to have every message after the position. */
export function everythingAfter(since: Position): Goal {
  return {
    since,
    max: Infinity,
    isReached: (log) => log.covers(since),
    isBefore: (start) => comparePositions(since, start) < 0,
  }
}

/** The log has to have this number of messages up to the position, or all that any node has. */
export function newestUpTo(position: Position, max: number): Goal {
  return {
    since: null,
    max,
    isReached: (log) => log.sizeUpTo(position) >= max,
    isBefore: () => true,
  }
}

interface Waiter {
  readonly goal: Goal
  readonly owner: object
  readonly settle: (outcome: Outcome) => void
}

/** The state of a log that is being extended backwards. */
interface Backfill {
  readonly channel: Channel
  readonly log: ChannelLog
  /** Retains the beginning of the log, because the next page must be adjacent to it. */
  readonly reader: Reader
  readonly waiters: Set<Waiter>
  /** The nodes that have missing messages. */
  readonly sources: Set<Whereabouts>
  /** The nodes that did not send messages that they had announced. */
  readonly failed: Set<string>
  /** `asking`: answers of other nodes are pending. `some`, `all`: some or all of the other nodes have answered. */
  asked: 'asking' | 'some' | 'all'
  isFetching: boolean
  pageBytes: number
}

/**
 * Extends logs backwards with the messages of other nodes. First the node that the client was on is asked how far back it reaches, or
 * all nodes, once for all clients of the channel. Then one of them is asked for pages, the newest first, and the next page when
 * the last one has arrived. Every page extends the log. So a client is served as soon as its position is covered, and no
 * message is held outside the log.
 *
 * The bytes of all requested pages are bounded. The clients that wait take turns.
 */
export class Backfills {
  readonly #questions: WhereaboutsQuestions
  readonly #beginnings: Beginnings
  readonly #pages: PageQueries
  readonly #maxInFlight: number
  readonly #counts: Counts
  readonly #maxPageBytes: number
  readonly #maxBytesOfOwner: number
  readonly #running = new Map<ChannelLog, Backfill>()
  /** How far back the logs of other nodes reached at the last question. */
  readonly #reaches = new WeakMap<ChannelLog, { readonly start: Position | null; readonly askedAt: number }>()
  readonly #turns = new Turns<object, Backfill>()
  /** The next task, which waits until there is room for its page. */
  #next: { readonly task: Backfill; readonly owner: object } | undefined
  /** The bytes that are in flight for each client that has any. */
  readonly #bytesOf = new WeakMap<object, number>()
  #inFlight = 0

  constructor(
    questions: WhereaboutsQuestions,
    beginnings: Beginnings,
    pages: PageQueries,
    maxInFlight: number,
    counts: Counts,
  ) {
    this.#questions = questions
    this.#beginnings = beginnings
    this.#pages = pages
    this.#maxInFlight = maxInFlight
    this.#counts = counts
    this.#maxPageBytes = Math.min(MAX_PAGE_BYTES, Math.max(1, Math.floor(maxInFlight / MIN_PAGES)))
    this.#maxBytesOfOwner = PAGES_OF_CLIENT * this.#maxPageBytes
  }

  get bytesInFlight(): number {
    return this.#inFlight
  }

  /** Extends the channel's log backwards to the goal, if other nodes have the missing messages. */
  async reach(channel: Channel, goal: Goal, { owner, node, deadline }: Seeker): Promise<Outcome> {
    const log = channel.log!
    const { since } = goal
    const isOfOtherRun = since !== null && !isSameRun(since.beacon, log.start.beacon)
    if (isOfOtherRun || this.#isKnownRefusal(log, goal)) return 'refused'
    const backfill = this.#running.get(log) ?? this.#begin(channel, log, node)
    const { promise, resolve } = deferred()
    let outcome: Outcome = 'refused'
    const waiter: Waiter = {
      goal,
      owner,
      settle: (settled) => {
        outcome = settled
        backfill.waiters.delete(waiter)
        resolve()
      },
    }
    backfill.waiters.add(waiter)
    this.#proceed(backfill, { waiters: [waiter] })
    await deadline.wait(promise)
    if (!backfill.waiters.delete(waiter)) return outcome
    // The deadline of this client is over, so the backfill does not continue for it.
    this.#proceed(backfill, { waiters: [] })
    return sourcesFor(backfill, waiter).length > 0 ? 'late' : 'refused'
  }

  #isKnownRefusal(log: ChannelLog, goal: Goal): boolean {
    const known = this.#reaches.get(log)
    if (known === undefined || uptimeMs() - known.askedAt > REFUSAL_MS || goal.isReached(log)) return false
    if (known.start === null) return true
    return goal.since === null ? comparePositions(log.start, known.start) <= 0 : goal.isBefore(known.start)
  }

  #begin(channel: Channel, log: ChannelLog, node: string | null): Backfill {
    const backfill: Backfill = {
      channel,
      log,
      reader: { isClient: false, cursorIn: () => log.start },
      waiters: new Set(),
      sources: new Set(),
      failed: new Set(),
      asked: 'some',
      isFetching: false,
      pageBytes: this.#maxPageBytes,
    }
    this.#running.set(log, backfill)
    channel.addReader(backfill.reader, log.start)
    this.#ask(backfill, node ?? 'all')
    return backfill
  }

  #ask(backfill: Backfill, first: string): void {
    const { channel, log } = backfill
    const position = log.start
    let earliest: Position | null = null
    backfill.asked = 'asking'
    const found = (source: Whereabouts): boolean => {
      if (backfill.failed.has(source.node)) return false
      if (earliest === null || comparePositions(source.start, earliest) < 0) earliest = source.start
      backfill.sources.add(source)
      this.#beginnings.found(channel, log, position, source)
      this.#proceed(backfill)
      return [...backfill.waiters].every(({ goal }) => !goal.isBefore(source.start))
    }
    const done = (isFinal: boolean): void => {
      if (isFinal) this.#reaches.set(log, { start: earliest, askedAt: uptimeMs() })
      backfill.asked = isFinal ? 'all' : 'some'
      this.#proceed(backfill)
    }
    this.#questions.ask([{ channel: channel.name, position, first, found, done }])
  }

  /** Settles the waiters whose outcome is known, and queues the next page for the others. */
  #proceed(
    backfill: Backfill,
    { waiters = [...backfill.waiters], isNext = false }: { waiters?: Waiter[]; isNext?: boolean } = {},
  ): void {
    const { channel, log } = backfill
    if (this.#running.get(log) !== backfill) return
    if (channel.log !== log) return this.#end(backfill, 'changed')
    for (const waiter of waiters) {
      const canReach = sourcesFor(backfill, waiter).length > 0
      if (waiter.goal.isReached(log)) waiter.settle('covered')
      else if (!canReach && backfill.asked === 'all') waiter.settle('refused')
      else if (!canReach && backfill.asked === 'some') this.#ask(backfill, 'all')
      else if (canReach && !backfill.isFetching) this.#turns.add(backfill, waiter.owner, isNext)
    }
    if (backfill.waiters.size === 0) this.#end(backfill, 'covered')
    this.#fetchNext()
  }

  #fetchNext(): void {
    for (;;) {
      const isNew = this.#next === undefined
      this.#next ??= this.#turns.take((owner, { pageBytes }) => this.#hasRoomFor(owner, pageBytes))
      if (this.#next === undefined) return
      const { task, owner } = this.#next
      if (this.#inFlight > 0 && this.#inFlight + task.pageBytes > this.#maxInFlight) {
        if (isNew) this.#counts.limits.backfillBytes += 1
        return
      }
      this.#next = undefined
      void this.#fetch(task, owner)
    }
  }

  /** Whether one more page of this size is within the client's share. A single page always is. */
  #hasRoomFor(owner: object, pageBytes: number): boolean {
    const bytes = this.#bytesOf.get(owner) ?? 0
    return bytes === 0 || bytes + pageBytes <= this.#maxBytesOfOwner
  }

  async #fetch(backfill: Backfill, owner: object): Promise<void> {
    const { channel, log, pageBytes: bytes } = backfill
    const goal = furthest([...backfill.waiters].filter((waiter) => sourcesFor(backfill, waiter).length > 0))
    // While the task waited for room, the backfill may have ended or have been queued again.
    if (this.#running.get(log) !== backfill || backfill.isFetching || goal === undefined) return
    const sources = sourcesFor(backfill, { goal })
    const source = sources[Math.floor(Math.random() * sources.length)]!
    const before = log.start
    backfill.isFetching = true
    this.#inFlight += bytes
    this.#bytesOf.set(owner, (this.#bytesOf.get(owner) ?? 0) + bytes)
    const query = { channel: channel.name, after: goal.since, before, bytes, max: goal.max }
    const answer = await this.#pages.ask(source.node, query)
    this.#bytesOf.set(owner, this.#bytesOf.get(owner)! - bytes)
    this.#inFlight -= bytes
    backfill.isFetching = false
    if (answer !== null && 'needs' in answer && answer.needs > bytes) backfill.pageBytes = answer.needs
    else if (answer === null || 'needs' in answer) drop(backfill, source)
    else this.#extend(backfill, source, before, answer)
    // The backfill that has begun continues first. So a client gets its channels one after the other, and not all at the end.
    this.#proceed(backfill, { isNext: true })
    this.#fetchNext()
  }

  #extend(backfill: Backfill, source: Whereabouts, before: Position, { start, entries }: Page): void {
    const { channel, log } = backfill
    // The log has dropped the entries to which the page is adjacent, so there would be a hole.
    if (comparePositions(log.start, before) > 0) return settleAll(backfill, 'changed')
    if (comparePositions(start, log.start) >= 0) {
      drop(backfill, source)
      return
    }
    const missing = entries.filter((entry) => comparePositions(entry, log.start) <= 0)
    log.prepend(missing, start, reasonBefore(channel))
    log.retainFrom(start)
  }

  #end(backfill: Backfill, outcome: Outcome): void {
    this.#running.delete(backfill.log)
    this.#turns.remove(backfill)
    backfill.channel.readers.delete(backfill.reader)
    settleAll(backfill, outcome)
  }
}

function settleAll({ waiters }: Backfill, outcome: Outcome): void {
  for (const waiter of waiters) waiter.settle(outcome)
}

/** Drops a node that did not send messages that it had announced. */
function drop({ sources, failed }: Backfill, source: Whereabouts): void {
  sources.delete(source)
  failed.add(source.node)
}

/** The nodes that have messages which the log needs. */
function sourcesFor({ sources, log }: Backfill, { goal }: Pick<Waiter, 'goal'>): Whereabouts[] {
  const all = [...sources]
  if (goal.since !== null) return all.filter(({ start }) => !goal.isBefore(start))
  // The one that goes back furthest has all that the others have.
  const earlier = all.filter(({ start }) => comparePositions(start, log.start) < 0)
  return earlier.sort((a, b) => comparePositions(a.start, b.start)).slice(0, 1)
}

/** Positions come first, the earliest of all. Then the largest number of messages. */
function furthest(waiters: readonly Waiter[]): Goal | undefined {
  const goals = waiters.map(({ goal }) => goal)
  const [since] = goals
    .map((goal) => goal.since)
    .filter((position) => position !== null)
    .sort(comparePositions)
  if (since !== undefined) return everythingAfter(since)
  return goals.sort((a, b) => b.max - a.max)[0]
}
