import { deferred } from '@broadcaster/protocol'
import type { Channel, Reader } from '../channels/channel.ts'
import type { ChannelLog } from '../channels/log.ts'
import { comparePositions, isSameRun, type Position } from '../channels/position.ts'
import { uptimeMs } from '../time/uptime.ts'
import { reasonBefore, type Beginnings } from './beginnings.ts'
import type { Page, PageQueries } from './pages.ts'
import type { Seeker } from './recovery.ts'
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

interface Waiter {
  readonly since: Position
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
  readonly #maxPageBytes: number
  readonly #maxBytesOfOwner: number
  readonly #running = new Map<ChannelLog, Backfill>()
  /** How far back the logs of other nodes reached at the last question. */
  readonly #reaches = new WeakMap<ChannelLog, { readonly start: Position | null; readonly askedAt: number }>()
  readonly #turns = new Turns<object, Backfill>()
  /** The next task, which waits until there is room for its page. */
  #next: { readonly task: Backfill; readonly owner: object } | undefined
  /** The bytes that are in flight for each client that has any. */
  readonly #bytesOf = new Map<object, number>()
  #inFlight = 0

  constructor(
    questions: WhereaboutsQuestions,
    beginnings: Beginnings,
    pages: PageQueries,
    maxInFlight: number,
  ) {
    this.#questions = questions
    this.#beginnings = beginnings
    this.#pages = pages
    this.#maxInFlight = maxInFlight
    this.#maxPageBytes = Math.min(MAX_PAGE_BYTES, Math.max(1, Math.floor(maxInFlight / MIN_PAGES)))
    this.#maxBytesOfOwner = PAGES_OF_CLIENT * this.#maxPageBytes
  }

  get bytesInFlight(): number {
    return this.#inFlight
  }

  /** Extends the channel's log back to `since`, if other nodes have the missing messages. */
  async reach(channel: Channel, since: Position, { owner, node, deadline }: Seeker): Promise<Outcome> {
    const log = channel.log!
    if (!isSameRun(since.beacon, log.start.beacon) || this.#isKnownRefusal(log, since)) return 'refused'
    const backfill = this.#running.get(log) ?? this.#begin(channel, log, node)
    const { promise, resolve } = deferred()
    let outcome: Outcome = 'refused'
    const waiter: Waiter = {
      since,
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

  #isKnownRefusal(log: ChannelLog, since: Position): boolean {
    const known = this.#reaches.get(log)
    if (known === undefined || uptimeMs() - known.askedAt > REFUSAL_MS) return false
    return !log.covers(since) && (known.start === null || comparePositions(since, known.start) < 0)
  }

  #begin(channel: Channel, log: ChannelLog, node: string | null): Backfill {
    const backfill: Backfill = {
      channel,
      log,
      reader: { cursorIn: () => log.start },
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
      return [...backfill.waiters].every(({ since }) => comparePositions(source.start, since) <= 0)
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
      if (log.covers(waiter.since)) waiter.settle('covered')
      else if (!canReach && backfill.asked === 'all') waiter.settle('refused')
      else if (!canReach && backfill.asked === 'some') this.#ask(backfill, 'all')
      else if (canReach && !backfill.isFetching) this.#turns.add(backfill, waiter.owner, isNext)
    }
    if (backfill.waiters.size === 0) this.#end(backfill, 'covered')
    this.#fetchNext()
  }

  #fetchNext(): void {
    for (;;) {
      this.#next ??= this.#turns.take((owner, { pageBytes }) => this.#hasRoomFor(owner, pageBytes))
      if (this.#next === undefined) return
      const { task, owner } = this.#next
      if (this.#inFlight > 0 && this.#inFlight + task.pageBytes > this.#maxInFlight) return
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
    const [after] = [...backfill.waiters]
      .filter((waiter) => sourcesFor(backfill, waiter).length > 0)
      .map(({ since }) => since)
      .sort(comparePositions)
    // While the task waited for room, the backfill may have ended or have been queued again.
    if (this.#running.get(log) !== backfill || backfill.isFetching || after === undefined) return
    const sources = sourcesFor(backfill, { since: after })
    const source = sources[Math.floor(Math.random() * sources.length)]!
    const before = log.start
    backfill.isFetching = true
    this.#inFlight += bytes
    this.#bytesOf.set(owner, (this.#bytesOf.get(owner) ?? 0) + bytes)
    const answer = await this.#pages.ask(source.node, { channel: channel.name, after, before, bytes })
    const left = this.#bytesOf.get(owner)! - bytes
    if (left > 0) this.#bytesOf.set(owner, left)
    else this.#bytesOf.delete(owner)
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
    if (comparePositions(log.start, before) > 0) return this.#end(backfill, 'changed')
    if (comparePositions(start, log.start) >= 0) {
      drop(backfill, source)
      return
    }
    const missing = entries.filter((entry) => comparePositions(entry, log.start) <= 0)
    log.prepend(missing, start, reasonBefore(channel))
    log.retainFrom(start)
  }

  #end(backfill: Backfill, outcome: Outcome): void {
    if (this.#running.get(backfill.log) !== backfill) return
    this.#running.delete(backfill.log)
    this.#turns.remove(backfill)
    backfill.channel.readers.delete(backfill.reader)
    for (const waiter of backfill.waiters) waiter.settle(outcome)
  }
}

/** Drops a node that did not send messages that it had announced. */
function drop({ sources, failed }: Backfill, source: Whereabouts): void {
  sources.delete(source)
  failed.add(source.node)
}

function sourcesFor({ sources }: Backfill, { since }: Pick<Waiter, 'since'>): Whereabouts[] {
  return [...sources].filter(({ start }) => comparePositions(start, since) <= 0)
}
