import {
  comparePositions,
  formatPosition,
  isSameRun,
  parsePosition,
  type Position,
} from '../channels/position.ts'
import { entryBytes, type Entry } from '../channels/log.ts'
import type { ControlMessageOf, SentEntry } from '../control/control.ts'
import type { ControlChannels } from './controlChannels.ts'
import { runningTimeout } from '../time/runningTimeout.ts'
import { uptimeMs } from '../time/uptime.ts'
import { Turns } from './turns.ts'

/** How long to wait for one page. A node does not make a page for a query that is older than this. */
const TIMEOUT_MS = 3000
/** The bytes of an entry on the wire, without its text. */
const ENTRY_BYTES = 50

/**
 * Asks for the newest messages of the channel after `after` up to `before` (inclusive), with at most `bytes` bytes, and at most
 * `max` messages.
 */
export interface PageQuery {
  readonly channel: string
  /** `null`: where the log of the other node begins. */
  readonly after: Position | null
  readonly before: Position
  readonly bytes: number
  readonly max: number
}

/** All messages after `start` up to the `before` of the query (inclusive). */
export interface Page {
  readonly start: Position
  readonly entries: readonly Entry[]
}

/** The answer in place of a page if the first message alone is larger than `bytes`. `needs` is its size. */
export interface TooSmall {
  readonly needs: number
}

/** Asks one node for one page at a time, and checks that a page is complete. */
export class PageQueries {
  readonly #control: ControlChannels
  readonly #waiting = new Map<
    number,
    { before: Position; resolve: (answer: Page | TooSmall | null) => void }
  >()
  #lastId = 0

  constructor(control: ControlChannels) {
    this.#control = control
    control.register({ page: (page) => this.#receive(page) })
  }

  /**
   * Resolves with `null` if the node does not have the page, is gone, does not answer in time, or sends fewer messages
   * than it announces. Never rejects.
   */
  ask(node: string, { channel, after, before, bytes, max }: PageQuery): Promise<Page | TooSmall | null> {
    return new Promise((done) => {
      const id = ++this.#lastId
      const resolve = (answer: Page | TooSmall | null): void => {
        cancel()
        this.#waiting.delete(id)
        done(answer)
      }
      const cancel = runningTimeout(TIMEOUT_MS, () => resolve(null))
      this.#waiting.set(id, { before, resolve })
      const range = { after: after === null ? '' : formatPosition(after), before: formatPosition(before) }
      const bounds = max === Infinity ? { bytes } : { bytes, max }
      const query = { type: 'getPage', id, node: this.#control.node, channel, ...range, ...bounds } as const
      this.#control.publishToNode(node, query).then(
        (receivers) => {
          if (receivers === 0) resolve(null)
        },
        () => resolve(null),
      )
    })
  }

  #receive({ id, start: startText, count, needs, entries: sent }: PageMessage): void {
    const query = this.#waiting.get(id)
    if (query === undefined) return
    if (needs > 0) return query.resolve({ needs })
    const start = startText === null ? null : parsePosition(startText)
    if (start === null) return query.resolve(null)
    const now = uptimeMs()
    const entries: Entry[] = []
    for (const [position, body, ageMs] of sent) {
      const parsed = parsePosition(position)
      const json = JSON.stringify(body)
      if (parsed !== null)
        entries.push({ ...parsed, json, bytes: entryBytes(json), receivedAt: now - ageMs, arrival: 0 })
    }
    const isWhole = entries.length === count && isContiguous(start, entries, query.before)
    query.resolve(isWhole ? { start, entries } : null)
  }
}

/**
 * Whether the numbers show that no message is missing between two positions. After each beacon, messages are numbered
 * from 1, without a hole.
 */
function isContiguous(start: Position, entries: readonly Position[], end: Position): boolean {
  let previous = start
  for (const entry of entries) {
    const isNext =
      entry.beacon === previous.beacon
        ? entry.count === previous.count + 1
        : entry.beacon > previous.beacon && entry.count === 1
    if (!isNext) return false
    previous = entry
  }
  // A position with a count is that of a message. A position with count 0 is that of a beacon; the last message before
  // a beacon may have any number.
  const isWhole = end.count > 0 ? comparePositions(previous, end) === 0 : comparePositions(previous, end) <= 0
  return isWhole
}

/**
 * Returns the log of this node after `after`; `null` if the log does not have every message after it. If `after` is `null`, returns
 * the whole log.
 */
export type EntriesAfter = (
  channel: string,
  after: Position | null,
) => { readonly start: Position; readonly entries: readonly Entry[] } | null

interface Waiting {
  readonly query: ControlMessageOf<'getPage'>
  readonly since: number
}

/**
 * Answers the queries of other nodes for pages. At most one page is made per turn of the event loop. No page is made
 * while too many bytes of earlier pages wait for Redis. The querying nodes take turns.
 */
export class PageAnswers {
  readonly #control: ControlChannels
  readonly #entriesAfter: EntriesAfter
  readonly #maxInFlight: number
  readonly #turns = new Turns<string, Waiting>()
  #inFlight = 0
  #isScheduled = false

  constructor(control: ControlChannels, entriesAfter: EntriesAfter, maxInFlight: number) {
    this.#control = control
    this.#entriesAfter = entriesAfter
    this.#maxInFlight = maxInFlight
    control.register({ getPage: (query) => this.#answer(query) })
  }

  get bytesInFlight(): number {
    return this.#inFlight
  }

  #answer(query: Waiting['query']): void {
    if (query.node === this.#control.node) return
    this.#turns.add({ query, since: uptimeMs() }, query.node)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isScheduled || this.#inFlight >= this.#maxInFlight) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      const next = this.#turns.take()
      if (next === undefined) return
      if (uptimeMs() - next.task.since < TIMEOUT_MS) void this.#send(next.task)
      this.#schedule()
    })
  }

  async #send({ query }: Waiting): Promise<void> {
    const { page, size } = this.#make(query)
    this.#inFlight += size
    // If it cannot be sent, the timeout of the other node ends its query.
    await this.#control.publishToNode(query.node, page).catch(() => {})
    this.#inFlight -= size
    this.#schedule()
  }

  #make({ id, channel, after: afterText, before: beforeText, bytes, max = Infinity }: Waiting['query']): {
    page: PageMessage
    size: number
  } {
    const after = parsePosition(afterText)
    const before = parsePosition(beforeText)
    const found = before && (after || afterText === '') && this.#entriesAfter(channel, after)
    if (!found || !isSameRun(found.start.beacon, before.beacon)) return { page: noPage(id, 0), size: 0 }
    const { entries } = found
    let end = entries.length
    while (end > 0 && comparePositions(entries[end - 1]!, before) > 0) end -= 1
    let first = end
    let size = 0
    while (first > 0 && end - first < max) {
      const next = Buffer.byteLength(entries[first - 1]!.json) + ENTRY_BYTES
      if (size + next > bytes) {
        if (first === end) return { page: noPage(id, next), size: 0 }
        break
      }
      size += next
      first -= 1
    }
    const start = formatPosition(first === 0 ? found.start : entries[first - 1]!)
    const now = uptimeMs()
    const sent = entries
      .slice(first, end)
      .map((entry): SentEntry => [
        formatPosition(entry),
        JSON.parse(entry.json) as string,
        now - entry.receivedAt,
      ])
    return { page: { type: 'page', id, start, count: sent.length, needs: 0, entries: sent }, size }
  }
}

type PageMessage = ControlMessageOf<'page'>

function noPage(id: number, needs: number): PageMessage {
  return { type: 'page', id, start: null, count: 0, needs, entries: [] }
}
