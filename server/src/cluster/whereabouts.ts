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
import { isUnavailable } from '../errors.ts'
import { pause } from '../time/pause.ts'
import { runningTimeout } from '../time/runningTimeout.ts'
import { uptimeMs } from '../time/uptime.ts'

/** How long to wait for the answers of all nodes. A living node answers in a few ms. */
const TIMEOUT_MS = 2000
/** How long to wait for one node. After that all nodes are asked. */
const NODE_TIMEOUT_MS = 200
/** The maximum number of channels in one question, and in one command that counts their holders. */
const CHANNELS_PER_QUESTION = 500
/** How many nodes are asked one after the other, at random, before all of them are asked. */
const MAX_TRIES = 4
/** How often, and after which time, a question is asked again while Redis is unavailable for commands. */
const MAX_FAILURES = 20
const RETRY_MS = 250
/** How long a node is remembered after its last message. */
const REMEMBERED_MS = 600_000

/** What another node has of a channel. */
export interface Whereabouts {
  readonly node: string
  /** Its log has every message after this position. */
  readonly start: Position
  /** No message was published after this position, up to the position of the inquiry. */
  readonly last: Position
  /** Whether the node itself still waits for the answers of other nodes about this channel. */
  readonly isAsking: boolean
}

/** A question about one channel. */
export interface Inquiry {
  readonly channel: string
  /**
   * A position that this node has received. Every node that answers has received it too, because the question is
   * published after it.
   */
  readonly position: Position
  /** Called directly before other nodes are asked. Returns whether the inquiry is not needed, because there are none. */
  isNeedless?(): boolean
  /** The id of the node to ask first; `any`: some nodes at random; `all`: all of them at once. */
  readonly first: string | 'any' | 'all'
  /** Called for each node that knows the channel. Returns whether no other node needs to be asked. */
  found(whereabouts: Whereabouts): boolean
  /** Called once, when no further answer can come. `isFinal`: all nodes that hold the channel have been asked. */
  done(isFinal: boolean): void
}

/**
 * What this node has of a channel; `null` if it knows nothing; `undefined` if Redis has not confirmed that the node holds the
 * channel.
 */
export type Locate = (channel: string, position: Position) => Omit<Whereabouts, 'node'> | null | undefined

/** A channel that is asked about, for all inquiries with the same position. */
interface Subject {
  readonly channel: string
  readonly position: Position
  readonly inquiries: Inquiry[]
  /** The number of other nodes that hold the channel, from the last answer of Redis. */
  others: number
  readonly tried: Set<string>
  /** The number of nodes that have answered a question to all holders. */
  answered: number
  /** How many times Redis was unavailable for the question. */
  failures: number
  /** Whether a client waits for the answer. */
  isAwaited: boolean
  isOpen: boolean
}

/** One node by its id, the nodes that hold one of the channels, or all nodes. */
type Target = { readonly node: string } | 'holders' | 'everyone'

interface Question {
  readonly target: Target
  readonly subjects: readonly Subject[]
  readonly cancelTimeout: () => void
  readonly ended: () => void
  /** The nodes that have answered. */
  readonly answered: Set<string>
  /** The number of nodes that may answer; `null` until Redis has told it. */
  others: number | null
}

/**
 * Asks other nodes what they have of channels. Redis knows how many nodes hold a channel, so no question is sent about a
 * channel that only this node holds. If one node is likely to know the answer, only that one is asked first. So the traffic
 * does not grow with the number of nodes. Otherwise all nodes are asked. If a client waits, every node answers, even if it
 * holds none of the channels, so this node knows which answer is the last one. Otherwise only nodes that hold one of them answer.
 */
export class WhereaboutsQuestions {
  readonly #control: ControlChannels
  readonly #backend: Backend
  readonly #locate: Locate
  readonly #questions = new Map<number, Question>()
  /** The nodes from which this node has received a message, the latest last, and when. */
  readonly #nodes = new Map<string, number>()
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

  /** All inquiries of one turn of the event loop are sent together, and equal ones only once. */
  ask(inquiries: readonly Inquiry[]): void {
    if (this.#next.length === 0) setImmediate(() => this.#askNext())
    for (const inquiry of inquiries) this.#next.push(inquiry)
  }

  #askNext(): void {
    const inquiries: Inquiry[] = []
    for (const inquiry of this.#next) {
      if (inquiry.isNeedless?.()) inquiry.done(true)
      else inquiries.push(inquiry)
    }
    const subjects = subjectsOf(inquiries)
    this.#next = []
    for (let i = 0; i < subjects.length; i += CHANNELS_PER_QUESTION) {
      const batch = subjects.slice(i, i + CHANNELS_PER_QUESTION)
      void this.#start(batch)
    }
  }

  async #start(subjects: readonly Subject[]): Promise<void> {
    try {
      await this.#count(subjects)
      this.#route(subjects)
    } catch (error) {
      await this.#startAgain(subjects, error)
    }
  }

  /**
   * No node has received the question, because Redis is unavailable for commands. After an outage, the subscriber may be
   * connected before the connection for commands is, so the question is asked again for some time.
   */
  async #startAgain(subjects: readonly Subject[], error: unknown): Promise<void> {
    const open = subjects.filter(({ isOpen }) => isOpen)
    const again = open.filter((subject) => isUnavailable(error) && ++subject.failures < MAX_FAILURES)
    for (const subject of open) if (!again.includes(subject)) end(subject, true)
    if (again.length === 0) return
    await pause(RETRY_MS)
    await this.#start(again)
  }

  /** Counts the other nodes that hold the channels, and ends the subjects from which no further answer can come. */
  async #count(subjects: readonly Subject[]): Promise<void> {
    const counts = await this.#backend.countHolders(subjects.map(({ channel }) => channel))
    subjects.forEach((subject, i) => {
      subject.others = counts[i]! - 1
      if (subject.answered >= subject.others) end(subject, true)
    })
  }

  /** Asks the node that comes next for each open subject, or all nodes. */
  #route(subjects: readonly Subject[]): void {
    const byNode = new Map<string | null, Subject[]>()
    for (const subject of subjects) {
      if (!subject.isOpen) continue
      const node = this.#nextNode(subject)
      const group = byNode.get(node)
      if (group === undefined) byNode.set(node, [subject])
      else group.push(subject)
    }
    for (const [node, group] of byNode) {
      if (node !== null) this.#askNode(node, group)
      else for (const target of ['holders', 'everyone'] as const) this.#askAll(target, group)
    }
  }

  #nextNode({ inquiries, tried, others, isAwaited }: Subject): string | null {
    const named = inquiries.find(({ first }) => first !== 'any' && first !== 'all')
    if (named !== undefined && named.first !== this.#control.node) {
      return tried.has(named.first) ? null : named.first
    }
    // The more nodes hold the channel, the sooner one is found at random. Otherwise it takes fewer messages to ask all.
    const isWorthTrying = tried.size < MAX_TRIES && others * MAX_TRIES >= this.#nodes.size
    if (!isWorthTrying || isAwaited) return null
    const untried = [...this.#nodes.keys()].filter((node) => !tried.has(node))
    return untried[Math.floor(Math.random() * untried.length)] ?? null
  }

  #askNode(node: string, subjects: readonly Subject[]): void {
    const id = this.#begin({ node }, subjects, NODE_TIMEOUT_MS, () => this.#route(subjects))
    for (const subject of subjects) subject.tried.add(node)
    this.#control.publishToNode(node, this.#encode(id)).then(
      (receivers) => {
        if (receivers > 0) return
        this.#nodes.delete(node)
        this.#end(id)
      },
      () => this.#end(id),
    )
  }

  #askAll(target: 'holders' | 'everyone', group: readonly Subject[]): void {
    const subjects = group.filter(({ isAwaited }) => isAwaited === (target === 'everyone'))
    if (subjects.length === 0) return
    const id = this.#begin(target, subjects, TIMEOUT_MS, () => {
      for (const subject of subjects) end(subject, true)
    })
    Promise.all([this.#control.publishToAll(this.#encode(id)), this.#control.countNodes()]).then(
      ([receivers, nodes]) => {
        // PUBLISH also counts subscriptions by pattern, which are not nodes. The number of nodes also counts a node that
        // subscribed after the question was sent.
        const question = this.#questions.get(id)
        if (question !== undefined) question.others = Math.min(receivers, nodes) - 1
        this.#endIfAnswered(id)
      },
      (error: unknown) => {
        this.#forget(id)
        void this.#startAgain(subjects, error)
      },
    )
  }

  /** `ended` is called once, when the question is answered or its time is over. */
  #begin(target: Target, subjects: readonly Subject[], timeoutMs: number, ended: () => void): number {
    const id = ++this.#lastId
    const cancelTimeout = runningTimeout(timeoutMs, () => this.#end(id))
    this.#questions.set(id, { target, subjects, cancelTimeout, ended, answered: new Set(), others: null })
    return id
  }

  #end(id: number): void {
    this.#forget(id)?.ended()
  }

  #forget(id: number): Question | undefined {
    const question = this.#questions.get(id)
    question?.cancelTimeout()
    this.#questions.delete(id)
    return question
  }

  #encode(id: number): ControlMessageOf<'where'> {
    const { target, subjects } = this.#questions.get(id)!
    const channels = subjects.map(({ channel, position }) => [channel, formatPosition(position)] as const)
    return { type: 'where', id, node: this.#control.node, onlyHolders: target === 'holders', channels }
  }

  #answer({ id, node, onlyHolders, channels }: ControlMessageOf<'where'>): void {
    if (node === this.#control.node) return
    this.#heardOf(node)
    const held: [index: number, start: string, last: string, isAsking: boolean][] = []
    channels.forEach(([channel, text], index) => {
      const position = parsePosition(text)
      const found = position && this.#locate(channel, position)
      if (found) held.push([index, formatPosition(found.start), formatPosition(found.last), found.isAsking])
      else if (found === null) held.push([index, '', '', false])
    })
    if (onlyHolders && held.length === 0) return
    // If the answer cannot be sent, the timeout of the other node ends its question.
    const answer = { type: 'whereIs', id, node: this.#control.node, channels: held } as const
    this.#control.publishToNode(node, answer).catch(() => {})
  }

  #receive({ id, node, channels }: ControlMessageOf<'whereIs'>): void {
    this.#heardOf(node)
    const question = this.#questions.get(id)
    if (question === undefined || question.answered.has(node)) return
    question.answered.add(node)
    const subjects = channels.flatMap(([index, startText, lastText, isAsking = false]) => {
      const subject = question.subjects[index]
      if (subject?.isOpen !== true) return []
      if (question.target === 'holders') subject.answered += 1
      const start = parsePosition(startText)
      const last = parsePosition(lastText)
      if (start !== null && last !== null) found(subject, { node, start, last, isAsking })
      return subject
    })
    if (typeof question.target === 'object') return this.#end(id)
    // Redis also counts subscribers of a channel that are not nodes. They never answer.
    for (const subject of subjects) if (subject.answered >= subject.others) end(subject, true)
    this.#endIfAnswered(id)
  }

  /** Nodes that were not heard of for long may be gone. Without them, all nodes are asked. */
  #heardOf(node: string): void {
    const now = uptimeMs()
    this.#nodes.delete(node)
    this.#nodes.set(node, now)
    for (const [other, heardAt] of this.#nodes) {
      if (now - heardAt <= REMEMBERED_MS) break
      this.#nodes.delete(other)
    }
  }

  #endIfAnswered(id: number): void {
    const question = this.#questions.get(id)
    if (question === undefined) return
    const { answered, others, subjects } = question
    const isComplete = others !== null && answered.size >= others
    if (isComplete || subjects.every(({ isOpen }) => !isOpen)) this.#end(id)
  }
}

function subjectsOf(inquiries: readonly Inquiry[]): Subject[] {
  const subjects = new Map<string, Subject>()
  for (const inquiry of inquiries) {
    const { channel, position } = inquiry
    const key = `${formatPosition(position)} ${channel}`
    const known = subjects.get(key) ?? {
      channel,
      position,
      inquiries: [],
      others: 0,
      tried: new Set(),
      answered: 0,
      failures: 0,
      isAwaited: false,
      isOpen: true,
    }
    subjects.set(key, known)
    known.inquiries.push(inquiry)
    known.isAwaited ||= inquiry.first !== 'any'
  }
  return [...subjects.values()]
}

function found(subject: Subject, whereabouts: Whereabouts): void {
  const { position, inquiries } = subject
  const { start, last } = whereabouts
  const isSensible = isSameRun(last.beacon, position.beacon) && isSameRun(start.beacon, last.beacon)
  if (!isSensible || comparePositions(last, position) > 0) return
  const isEnough = inquiries.map((inquiry) => inquiry.found(whereabouts)).every(Boolean)
  if (isEnough) end(subject, false)
}

function end(subject: Subject, isFinal: boolean): void {
  if (!subject.isOpen) return
  subject.isOpen = false
  for (const inquiry of subject.inquiries) inquiry.done(isFinal)
}
