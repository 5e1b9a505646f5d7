import { comparePositions, formatPosition, parsePosition, type Position } from '../channels/position.ts'
import { entryBytes, type Entry } from '../channels/log.ts'
import type { ControlMessage, SentEntry } from '../control/control.ts'
import { uptimeMs } from '../time/uptime.ts'
import { Turns } from './turns.ts'

/** How long to wait for one page. Later than that nobody waits for it, so it is not made any more. */
const TIMEOUT_MS = 3000
/** What an entry takes on the wire besides its text. */
const ENTRY_BYTES = 50

/** What is asked for: the newest messages of the channel after `after`, up to and with `before`, of `bytes` at most. */
export interface PageQuery {
  readonly channel: string
  readonly after: Position
  readonly before: Position
  readonly bytes: number
}

/** All messages after `start`, up to and with the `before` of the query. */
export interface Page {
  readonly start: Position
  readonly entries: readonly Entry[]
}

/** Instead of a page: the first message alone has so many bytes. */
export interface TooSmall {
  readonly needs: number
}

/** What {@link PageQueries} needs of the hub. */
export interface PageQueriesHost {
  readonly node: string
  /** Resolves with how many received it. */
  publishToNode(node: string, message: ControlMessage): Promise<number>
}

/** Asks one node for one page at a time, and checks that a page is whole. */
export class PageQueries {
  readonly #host: PageQueriesHost
  readonly #waiting = new Map<
    number,
    { before: Position; resolve: (answer: Page | TooSmall | null) => void }
  >()
  #lastId = 0

  constructor(host: PageQueriesHost) {
    this.#host = host
  }

  /** `null` if the node has it not, is gone, does not answer in time, or answers with less than it says. Never rejects. */
  ask(node: string, { channel, after, before, bytes }: PageQuery): Promise<Page | TooSmall | null> {
    return new Promise((done) => {
      const id = ++this.#lastId
      const resolve = (answer: Page | TooSmall | null): void => {
        clearTimeout(timer)
        this.#waiting.delete(id)
        done(answer)
      }
      const timer = setTimeout(resolve, TIMEOUT_MS, null)
      this.#waiting.set(id, { before, resolve })
      const places = { after: formatPosition(after), before: formatPosition(before) }
      const query = { type: 'getPage', id, node: this.#host.node, channel, ...places, bytes } as const
      this.#host.publishToNode(node, query).then(
        (receivers) => {
          if (receivers === 0) resolve(null)
        },
        () => resolve(null),
      )
    })
  }

  receive({
    id,
    start: startText,
    count,
    needs,
    entries: sent,
  }: Extract<ControlMessage, { type: 'page' }>): void {
    const query = this.#waiting.get(id)
    if (query === undefined) return
    if (needs > 0) return query.resolve({ needs })
    const start = startText === null ? null : parsePosition(startText)
    if (start === null) return query.resolve(null)
    const now = uptimeMs()
    const entries: Entry[] = []
    for (const [position, body, ageMs] of sent) {
      const place = parsePosition(position)
      const json = JSON.stringify(body)
      if (place !== null) entries.push({ ...place, json, bytes: entryBytes(json), at: now - ageMs, order: 0 })
    }
    const isWhole = entries.length === count && isContiguous(start, entries, query.before)
    query.resolve(isWhole ? { start, entries } : null)
  }
}

/**
 * Whether no message is missing between two places, as far as can be told from the numbers: after a beacon messages are numbered
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
  // A place with a count is that of a message. One without is that of a beacon, before which anything may be the last.
  const isWhole = end.count > 0 ? comparePositions(previous, end) === 0 : comparePositions(previous, end) <= 0
  return isWhole
}

/** What {@link PageAnswers} needs of the hub. */
export interface PageAnswersHost {
  readonly node: string
  publishToNode(node: string, message: ControlMessage): Promise<number>
  /** This node's log, if it has everything after `after`. */
  entriesAfter(
    channel: string,
    after: Position,
  ): { readonly start: Position; readonly entries: readonly Entry[] } | null
}

interface Waiting {
  readonly query: Extract<ControlMessage, { type: 'getPage' }>
  readonly since: number
}

/**
 * Answers the other nodes' questions for pages. A page is made when its turn comes, one in a turn of the event loop, and only while
 * Redis takes what was made before; the nodes that ask have turns.
 */
export class PageAnswers {
  readonly #host: PageAnswersHost
  readonly #maxInFlight: number
  readonly #turns = new Turns<string, Waiting>()
  #inFlight = 0
  #isScheduled = false

  constructor(host: PageAnswersHost, maxInFlight: number) {
    this.#host = host
    this.#maxInFlight = maxInFlight
  }

  answer(query: Extract<ControlMessage, { type: 'getPage' }>): void {
    if (query.node === this.#host.node) return
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
    // If it can't be sent, the other node's patience ends by itself.
    await this.#host.publishToNode(query.node, page).catch(() => {})
    this.#inFlight -= size
    this.#schedule()
  }

  #make({ id, channel, after: afterText, before: beforeText, bytes }: Waiting['query']): {
    page: PageMessage
    size: number
  } {
    const after = parsePosition(afterText)
    const before = parsePosition(beforeText)
    const found = after && before && this.#host.entriesAfter(channel, after)
    if (!found) return { page: noPage(id, 0), size: 0 }
    const { entries } = found
    let end = entries.length
    while (end > 0 && comparePositions(entries[end - 1]!, before) > 0) end -= 1
    let first = end
    let size = 0
    while (first > 0) {
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
      .map((entry): SentEntry => [formatPosition(entry), JSON.parse(entry.json) as string, now - entry.at])
    return { page: { type: 'page', id, start, count: sent.length, needs: 0, entries: sent }, size }
  }
}

type PageMessage = Extract<ControlMessage, { type: 'page' }>

function noPage(id: number, needs: number): PageMessage {
  return { type: 'page', id, start: null, count: 0, needs, entries: [] }
}
