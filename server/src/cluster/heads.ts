import type { ControlMessage } from '../control/control.ts'
import { comparePositions, formatPosition, parsePosition, type Position } from '../channels/position.ts'

const TIMEOUT_MS = 2000
/** Channels in one question. */
const CHANNELS_PER_QUESTION = 500

/** Where a log begins on this node. */
export interface Beginning {
  readonly channel: string
  readonly at: Position
}

/** What {@link Heads} needs of the hub. */
export interface HeadsHost {
  readonly node: string
  publishToAll(message: ControlMessage): Promise<number>
  publishToNode(node: string, message: ControlMessage): Promise<number>
  /** A place behind which this node knows of nothing before `at`, or `null` if it can't know. */
  lastBefore(beginning: Beginning): Position | null
}

interface Question {
  readonly beginnings: readonly Beginning[]
  readonly heads: (Position | null)[]
  answers: number
  /** How many nodes may answer; not known before Redis has said how many got the question. */
  peers: number | null
  readonly settle: () => void
}

/**
 * Asks the others, when a log begins on this node, where the channel stood then. If it was quiet, clients whose last message is
 * an old one are as good here as there: so they can come here when the node that gave it to them is killed.
 */
export class Heads {
  readonly #host: HeadsHost
  readonly #questions = new Map<number, Question>()
  #lastId = 0

  constructor(host: HeadsHost) {
    this.#host = host
  }

  /** For each, the earliest place behind which nothing was published before it. Never rejects. */
  async find(beginnings: readonly Beginning[]): Promise<(Position | null)[]> {
    const batches: Promise<(Position | null)[]>[] = []
    for (let i = 0; i < beginnings.length; i += CHANNELS_PER_QUESTION) {
      batches.push(this.#ask(beginnings.slice(i, i + CHANNELS_PER_QUESTION)))
    }
    return (await Promise.all(batches)).flat()
  }

  #ask(beginnings: readonly Beginning[]): Promise<(Position | null)[]> {
    return new Promise((resolve) => {
      const id = ++this.#lastId
      const heads: (Position | null)[] = beginnings.map(() => null)
      const settle = (): void => {
        clearTimeout(timer)
        this.#questions.delete(id)
        resolve(heads)
      }
      const timer = setTimeout(settle, TIMEOUT_MS)
      const question: Question = { beginnings, heads, answers: 0, peers: null, settle }
      this.#questions.set(id, question)
      const channels = beginnings.map(({ channel, at }) => [channel, formatPosition(at)] as const)
      this.#host.publishToAll({ type: 'heads', id, node: this.#host.node, channels }).then((receivers) => {
        question.peers = receivers - 1
        settleIfDone(question)
      }, settle)
    })
  }

  /** Another node asks. */
  answer({ id, node, channels }: Extract<ControlMessage, { type: 'heads' }>): void {
    if (node === this.#host.node) return
    const heads = channels.map(([channel, text]) => {
      const at = parsePosition(text)
      const head = at && this.#host.lastBefore({ channel, at })
      return head && formatPosition(head)
    })
    // If it can't be sent, the other node's patience ends by itself.
    this.#host.publishToNode(node, { type: 'headsAre', id, heads }).catch(() => {})
  }

  /** Another node has answered. */
  receive({ id, heads }: Extract<ControlMessage, { type: 'headsAre' }>): void {
    const question = this.#questions.get(id)
    if (question === undefined || heads.length !== question.heads.length) return
    heads.forEach((text, i) => {
      const head = text === null ? null : parsePosition(text)
      const known = question.heads[i] ?? question.beginnings[i]!.at
      if (head !== null && comparePositions(head, known) < 0) question.heads[i] = head
    })
    question.answers += 1
    settleIfDone(question)
  }
}

function settleIfDone({ answers, peers, settle }: Question): void {
  if (peers !== null && answers >= peers) settle()
}
