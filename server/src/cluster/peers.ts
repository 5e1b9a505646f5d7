import type { ControlMessage, SentEntry } from '../control/control.ts'
import { entryBytes, type Entry } from '../channels/log.ts'
import { formatPosition, parsePosition, type Position } from '../channels/position.ts'
import { uptimeMs } from '../time/uptime.ts'

/** A hole: everything of `channel` after `after`, up to and with `before`, where a log begins. */
export interface Range {
  readonly channel: string
  readonly after: Position
  readonly before: Position
}

/** How long to wait for the other nodes. They answer in a few ms, if they are there and can. */
const FETCH_TIMEOUT_MS = 2000
/** Ranges in one question. */
const RANGES_PER_FETCH = 200
/** Text in one answer: Redis closes subscribers that fall 32 MiB behind, so answers go in small parts. */
const ANSWER_BYTES = 128 * 1024

interface Question {
  readonly ranges: readonly Range[]
  /** What each node has sent so far of each range. */
  readonly parts: Map<string, Entry[]>
  readonly results: (Entry[] | null)[]
  /** How many nodes have said no to each range. */
  readonly refusals: number[]
  /** How many nodes may answer; not known before Redis has said how many got the question. */
  peers: number | null
  readonly settle: () => void
}

/** What {@link Peers} needs of the hub. */
export interface PeersHost {
  readonly node: string
  publishToAll(message: ControlMessage): Promise<number>
  publishToNode(node: string, message: ControlMessage): Promise<number>
  /** All entries of the range, or `null` if this node hasn't got them all. */
  read(range: Range): Entry[] | null
}

/**
 * Fills holes from the logs of other nodes. A question is published, so it comes after everything that was published
 * before `before` in every node's order: a node that has the range has all of it. Positions are everyone's, so it does
 * not matter which node answers first, nor that several do.
 */
export class Peers {
  readonly #host: PeersHost
  readonly #questions = new Map<number, Question>()
  #lastId = 0

  constructor(host: PeersHost) {
    this.#host = host
  }

  /** The entries of each range, or `null` where no node has all of them. Never rejects. */
  async fetch(ranges: readonly Range[]): Promise<(Entry[] | null)[]> {
    const batches: (readonly Range[])[] = []
    for (let i = 0; i < ranges.length; i += RANGES_PER_FETCH)
      batches.push(ranges.slice(i, i + RANGES_PER_FETCH))
    return (await Promise.all(batches.map((batch) => this.#ask(batch)))).flat()
  }

  #ask(ranges: readonly Range[]): Promise<(Entry[] | null)[]> {
    return new Promise((resolve) => {
      const id = ++this.#lastId
      const results: (Entry[] | null)[] = ranges.map(() => null)
      const settle = (): void => {
        clearTimeout(timer)
        this.#questions.delete(id)
        resolve(results)
      }
      const timer = setTimeout(settle, FETCH_TIMEOUT_MS)
      const refusals = ranges.map(() => 0)
      const question: Question = { ranges, parts: new Map(), results, refusals, peers: null, settle }
      this.#questions.set(id, question)
      const wire = ranges.map(
        ({ channel, after, before }) => [channel, formatPosition(after), formatPosition(before)] as const,
      )
      this.#host.publishToAll({ type: 'fetch', id, node: this.#host.node, ranges: wire }).then(
        (receivers) => {
          question.peers = receivers - 1
          settleIfDone(question)
        },
        // Redis is away: nobody got the question.
        settle,
      )
    })
  }

  /** Another node asks. */
  answer(message: Extract<ControlMessage, { type: 'fetch' }>): void {
    if (message.node === this.#host.node) return
    message.ranges.forEach(([channel, afterText, beforeText], range) => {
      const after = parsePosition(afterText)
      const before = parsePosition(beforeText)
      const entries = after && before ? this.#host.read({ channel, after, before }) : null
      for (const part of entries === null ? [null] : inParts(entries)) {
        const isLast = part === null || part.isLast
        const sent = part === null ? null : part.entries
        const answer = {
          type: 'fetched',
          id: message.id,
          node: this.#host.node,
          range,
          entries: sent,
          isLast,
        } as const
        // If it can't be sent, the other node's patience ends by itself.
        this.#host.publishToNode(message.node, answer).catch(() => {})
      }
    })
  }

  /** Another node has answered. */
  receive(message: Extract<ControlMessage, { type: 'fetched' }>): void {
    const question = this.#questions.get(message.id)
    if (question === undefined || message.range >= question.ranges.length) return
    if (message.entries === null) {
      question.refusals[message.range]! += 1
    } else if (question.results[message.range] === null) {
      const key = `${message.node} ${message.range}`
      const entries = question.parts.get(key) ?? []
      question.parts.set(key, entries)
      const now = uptimeMs()
      for (const sent of message.entries) {
        const entry = toEntry(sent, now)
        if (entry !== null) entries.push(entry)
      }
      if (message.isLast) question.results[message.range] = entries
    }
    settleIfDone(question)
  }
}

function settleIfDone({ results, refusals, peers, settle }: Question): void {
  const isDone = results.every((result, i) => result !== null || (peers !== null && refusals[i]! >= peers))
  if (isDone) settle()
}

function toEntry([position, json, ageMs]: SentEntry, now: number): Entry | null {
  const parsed = parsePosition(position)
  return parsed && isJsonString(json)
    ? { ...parsed, json, bytes: entryBytes(json), at: now - ageMs, order: 0 }
    : null
}

/** The text goes into frames as it is: nonsense from whoever can publish must not become broken frames. */
function isJsonString(json: string): boolean {
  try {
    return typeof JSON.parse(json) === 'string'
  } catch {
    return false
  }
}

function inParts(entries: readonly Entry[]): { entries: SentEntry[]; isLast: boolean }[] {
  const now = uptimeMs()
  const parts = [{ entries: [] as SentEntry[], isLast: false }]
  let bytes = 0
  for (const entry of entries) {
    if (bytes > ANSWER_BYTES) {
      parts.push({ entries: [], isLast: false })
      bytes = 0
    }
    parts.at(-1)!.entries.push([formatPosition(entry), entry.json, now - entry.at])
    bytes += entry.json.length + 50
  }
  parts.at(-1)!.isLast = true
  return parts
}
