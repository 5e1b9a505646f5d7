import {
  comparePositions,
  formatPosition,
  isSameRun,
  parsePosition,
  type Position,
} from '../channels/position.ts'
import type { Backend } from '../backends/backend.ts'
import type { ControlMessageOf } from '../control/control.ts'
import type { ControlChannels } from './controlChannels.ts'

/** How long to wait for the answers of the other nodes. A living node answers in a few ms. */
const TIMEOUT_MS = 2000
/** The maximum number of channels in one question, and in one command that counts their holders. */
const CHANNELS_PER_QUESTION = 500

/** What another node has of a channel. */
export interface Whereabouts {
  readonly node: string
  /** Its log has every message after this position. */
  readonly start: Position
  /** No message was published after this position, up to the position of the inquiry. */
  readonly last: Position
}

/** A question about one channel. */
export interface Inquiry {
  readonly channel: string
  /**
   * A position that this node has received. Every node that answers has received it too, because the question is
   * published after it.
   */
  readonly at: Position
  /** Called for each node that knows the channel. */
  found(whereabouts: Whereabouts): void
  /** Called once, when no further answer can come. */
  done(): void
}

/** Returns what this node has of a channel; `null` if it does not know the channel. */
export type Locate = (channel: string, at: Position) => Omit<Whereabouts, 'node'> | null

interface Question {
  readonly inquiries: readonly Inquiry[]
  readonly answered: Set<string>
  /** The number of nodes that may answer; `null` until Redis has told it. */
  others: number | null
  readonly end: () => void
}

/**
 * Asks all nodes what they have of channels. Redis knows how many nodes hold a channel, so no question is sent about a
 * channel that only this node holds. Every node answers, even if it knows none of the channels, so this node knows which
 * answer is the last one.
 */
export class WhereaboutsQuestions {
  readonly #control: ControlChannels
  readonly #backend: Backend
  readonly #locate: Locate
  readonly #questions = new Map<number, Question>()
  #next: Inquiry[] = []
  #lastId = 0

  constructor(control: ControlChannels, backend: Backend, locate: Locate) {
    this.#control = control
    this.#backend = backend
    this.#locate = locate
    control.register({
      where: (question) => this.#answer(question),
      whereIs: (answer) => this.#receive(answer),
    })
  }

  /** All inquiries of one turn of the event loop are sent together. */
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
    // If Redis is unavailable, no node would receive the question.
    const counts = await this.#backend.countHolders(inquiries.map(({ channel }) => channel)).catch(() => [])
    const held = inquiries.filter((_, i) => (counts[i] ?? 0) > 1)
    inquiries.forEach((inquiry, i) => {
      if ((counts[i] ?? 0) <= 1) inquiry.done()
    })
    if (held.length > 0) this.#publish(held)
  }

  #publish(inquiries: readonly Inquiry[]): void {
    const id = ++this.#lastId
    const end = (): void => {
      clearTimeout(timer)
      if (!this.#questions.delete(id)) return
      for (const inquiry of inquiries) inquiry.done()
    }
    const timer = setTimeout(end, TIMEOUT_MS)
    const question: Question = { inquiries, answered: new Set(), others: null, end }
    this.#questions.set(id, question)
    const channels = inquiries.map(({ channel, at }) => [channel, formatPosition(at)] as const)
    Promise.all([
      this.#control.publishToAll({ type: 'where', id, node: this.#control.node, channels }),
      this.#control.countNodes(),
    ]).then(([receivers, nodes]) => {
      // PUBLISH also counts subscriptions by pattern, which are not nodes. The number of nodes also counts a node that
      // subscribed after the question was sent.
      question.others = Math.min(receivers, nodes) - 1
      endIfAnswered(question)
    }, end)
  }

  #answer({ id, node, channels }: ControlMessageOf<'where'>): void {
    if (node === this.#control.node) return
    const known: [number, string, string][] = []
    channels.forEach(([channel, text], index) => {
      const at = parsePosition(text)
      const found = at && this.#locate(channel, at)
      if (found) known.push([index, formatPosition(found.start), formatPosition(found.last)])
    })
    const answer = { type: 'whereIs', id, node: this.#control.node, channels: known } as const
    // If it cannot be sent, the timeout of the other node ends its question.
    this.#control.publishToNode(node, answer).catch(() => {})
  }

  #receive({ id, node, channels }: ControlMessageOf<'whereIs'>): void {
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
    endIfAnswered(question)
  }
}

function endIfAnswered({ answered, others, end }: Question): void {
  if (others !== null && answered.size >= others) end()
}
