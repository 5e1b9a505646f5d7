import {
  comparePositions,
  formatPosition,
  isSameRun,
  parsePosition,
  type Position,
} from '../channels/position.ts'
import type { ControlMessage } from '../control/control.ts'

/** How long to wait for the other nodes. They answer in a few ms, if they are there. */
const TIMEOUT_MS = 2000
/** Channels in one question, and in one command that asks Redis who holds them. */
const CHANNELS_PER_QUESTION = 500

/** What another node has of a channel. */
export interface Whereabouts {
  readonly node: string
  /** Its log has everything after this place. */
  readonly start: Position
  /** Nothing was published after this place, up to the place that was asked about. */
  readonly last: Position
}

/** What is asked about one channel. */
export interface Inquiry {
  readonly channel: string
  /** A place that this node has seen: every node that answers has seen it too, since the question is published later. */
  readonly at: Position
  /** Called for each node that can speak of the channel. */
  found(whereabouts: Whereabouts): void
  /** Called once, when nobody can answer any more. */
  done(): void
}

/** What {@link WhereaboutsQuestions} needs of the hub. */
export interface WhereaboutsHost {
  readonly node: string
  publishToAll(message: ControlMessage): Promise<number>
  publishToNode(node: string, message: ControlMessage): Promise<number>
  /** How many nodes there are, this one included. */
  countNodes(): Promise<number>
  /** How many nodes hold each channel. */
  countHolders(channels: readonly string[]): Promise<readonly number[]>
  /** What this node has of a channel, or `null` where it can't speak of it. */
  locate(channel: string, at: Position): Omit<Whereabouts, 'node'> | null
}

interface Question {
  readonly inquiries: readonly Inquiry[]
  readonly answered: Set<string>
  /** How many nodes may answer; not known before Redis has said so. */
  others: number | null
  readonly settle: () => void
}

/**
 * Asks all nodes what they have of channels. Redis knows which channels somebody else holds: about others nobody is asked.
 * Every node answers, also one that has nothing to say: so it is known when the last answer has come.
 */
export class WhereaboutsQuestions {
  readonly #host: WhereaboutsHost
  readonly #questions = new Map<number, Question>()
  #next: Inquiry[] = []
  #lastId = 0

  constructor(host: WhereaboutsHost) {
    this.#host = host
  }

  /** Everything that is asked in one turn of the event loop goes out together. */
  ask(inquiries: readonly Inquiry[]): void {
    if (this.#next.length === 0) setImmediate(() => this.#askAll())
    for (const inquiry of inquiries) this.#next.push(inquiry)
  }

  #askAll(): void {
    const inquiries = this.#next
    this.#next = []
    for (let i = 0; i < inquiries.length; i += CHANNELS_PER_QUESTION) {
      void this.#askHolders(inquiries.slice(i, i + CHANNELS_PER_QUESTION))
    }
  }

  async #askHolders(inquiries: readonly Inquiry[]): Promise<void> {
    // Where Redis is away nobody would get the question.
    const counts = await this.#host.countHolders(inquiries.map(({ channel }) => channel)).catch(() => [])
    const held = inquiries.filter((_, i) => (counts[i] ?? 0) > 1)
    inquiries.forEach((inquiry, i) => {
      if ((counts[i] ?? 0) <= 1) inquiry.done()
    })
    if (held.length > 0) this.#publish(held)
  }

  #publish(inquiries: readonly Inquiry[]): void {
    const id = ++this.#lastId
    const settle = (): void => {
      clearTimeout(timer)
      if (!this.#questions.delete(id)) return
      for (const inquiry of inquiries) inquiry.done()
    }
    const timer = setTimeout(settle, TIMEOUT_MS)
    const question: Question = { inquiries, answered: new Set(), others: null, settle }
    this.#questions.set(id, question)
    const channels = inquiries.map(({ channel, at }) => [channel, formatPosition(at)] as const)
    Promise.all([
      this.#host.publishToAll({ type: 'where', id, node: this.#host.node, channels }),
      this.#host.countNodes(),
    ]).then(([receivers, nodes]) => {
      // Who listens by a pattern is counted by PUBLISH, and is no node. A node that has just come has not been asked.
      question.others = Math.min(receivers, nodes) - 1
      settleIfDone(question)
    }, settle)
  }

  /** Another node asks. */
  answer({ id, node, channels }: Extract<ControlMessage, { type: 'where' }>): void {
    if (node === this.#host.node) return
    const known: [number, string, string][] = []
    channels.forEach(([channel, text], index) => {
      const at = parsePosition(text)
      const found = at && this.#host.locate(channel, at)
      if (found) known.push([index, formatPosition(found.start), formatPosition(found.last)])
    })
    const answer = { type: 'whereIs', id, node: this.#host.node, channels: known } as const
    // If it can't be sent, the other node's patience ends by itself.
    this.#host.publishToNode(node, answer).catch(() => {})
  }

  /** Another node has answered. */
  receive({ id, node, channels }: Extract<ControlMessage, { type: 'whereIs' }>): void {
    const question = this.#questions.get(id)
    if (question === undefined || question.answered.has(node)) return
    question.answered.add(node)
    for (const [index, startText, lastText] of channels) {
      const inquiry = question.inquiries[index]
      const start = parsePosition(startText)
      const last = parsePosition(lastText)
      if (inquiry === undefined || start === null || last === null) continue
      const isSensible = isSameRun(last.beacon, inquiry.at.beacon) && isSameRun(start.beacon, last.beacon)
      if (isSensible && comparePositions(last, inquiry.at) <= 0) inquiry.found({ node, start, last })
    }
    settleIfDone(question)
  }
}

function settleIfDone({ answered, others, settle }: Question): void {
  if (others !== null && answered.size >= others) settle()
}
