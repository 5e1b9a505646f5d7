import { comparePositions, formatPosition, parsePosition, type Position } from '../channels/position.ts'
import type { Broker } from '../backends/backend.ts'
import type { ControlMessageOf } from '../control/control.ts'
import type { ControlChannels } from './controlChannels.ts'
import { isUnavailable } from '../errors.ts'
import { end, found, subjectsOf, type Inquiry, type Subject, type Whereabouts } from './inquiries.ts'
import { pause } from '../time/pause.ts'
import { runningTimeout } from '../time/runningTimeout.ts'
import { uptimeMs } from '../time/uptime.ts'

/** How long to wait for the answers of all nodes. A living node answers in a few ms. */
const TIMEOUT_MS = 2000
/** How long to wait for one node. After that all nodes are asked. */
const NODE_TIMEOUT_MS = 200
/** The maximum number of channels in one question, and in one command that counts their holders. */
const CHANNELS_PER_QUESTION = 500
/** One node is asked at random only if at least one of this number of nodes holds the channel. */
const MAX_NODES_PER_HOLDER = 4
/**
 * Within this time after a question to a node, further ones to it are gathered and sent together. So many clients that come from
 * one node do not make as many messages, and the first one does not wait.
 */
const GATHER_MS = 15
/** How often, and after which time, a question is asked again while Redis is unavailable for commands. */
const MAX_FAILURES = 20
const RETRY_MS = 250
/** How long a node is remembered after its last message. */
const REMEMBERED_MS = 600_000

/**
 * What this node has of a channel; `null` if it knows nothing; `undefined` if Redis has not confirmed that the node holds the
 * channel.
 */
export type Locate = (channel: string, position: Position) => Omit<Whereabouts, 'node'> | null | undefined

interface Question {
  /** The id of one node; `null` for all nodes. */
  readonly node: string | null
  readonly subjects: readonly Subject[]
  readonly cancelTimeout: () => void
  readonly ended: (question: Question) => void
  /** The nodes that have answered. */
  readonly answered: Set<string>
  /** The number of nodes that may answer; `null` until Redis has told it. */
  others: number | null
}

/**
 * Asks other nodes what they have of channels. If one node is likely to know the answer, only that one is asked first, so the
 * traffic does not grow with the number of nodes. Redis knows how many nodes hold a channel, so no other question is sent about
 * a channel that only this node holds. If all nodes are asked, every node answers, even if it holds none of the channels, so
 * this node knows which answer is the last one.
 */
export class WhereaboutsQuestions {
  readonly #control: ControlChannels
  readonly #broker: Broker
  readonly #locate: Locate
  readonly #questions = new Map<number, Question>()
  /** The nodes from which this node has received a message, the latest last, and when. */
  readonly #nodes = new Map<string, number>()
  #next: Inquiry[] = []
  /** The subjects that wait because another question was sent to their node just before. */
  readonly #gathered = new Map<string, Subject[]>()
  #lastId = 0

  constructor(control: ControlChannels, broker: Broker, locate: Locate) {
    this.#control = control
    this.#broker = broker
    this.#locate = locate
    control.register({
      where: (question, isToAll) => this.#answer(question, isToAll),
      whereIs: (answer) => this.#receive(answer),
    })
  }

  /** All inquiries of one turn of the event loop are sent together, and equal ones only once. */
  ask(inquiries: readonly Inquiry[]): void {
    if (this.#next.length === 0 && inquiries.length > 0) setImmediate(() => this.#askNext())
    for (const inquiry of inquiries) this.#next.push(inquiry)
  }

  /** This node has received a message of another node. */
  heardOf(node: string): void {
    // Nodes that were not heard of for long may be gone. Without them, all nodes are asked.
    const now = uptimeMs()
    this.#nodes.delete(node)
    this.#nodes.set(node, now)
    for (const [other, heardAt] of this.#nodes) {
      if (now - heardAt <= REMEMBERED_MS) break
      this.#nodes.delete(other)
    }
  }

  #askNext(): void {
    const inquiries: Inquiry[] = []
    for (const inquiry of this.#next) {
      if (inquiry.isNeedless?.()) inquiry.done(true)
      else inquiries.push(inquiry)
    }
    this.#next = []
    const subjects = subjectsOf(inquiries, this.#control.node)
    const named = subjects.filter((subject) => subject.named !== null)
    for (const [node, group] of groupBy(named, (subject) => subject.named!)) this.#askSoon(node, group)
    const others = subjects.filter((subject) => subject.named === null)
    for (const batch of inBatches(others)) void this.#start(batch)
  }

  async #start(subjects: readonly Subject[]): Promise<void> {
    try {
      await this.#count(subjects)
      this.#route(subjects.filter(({ isOpen }) => isOpen))
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
    const counts = await this.#broker.countHolders(subjects.map(({ channel }) => channel))
    subjects.forEach((subject, i) => {
      subject.others = counts[i]! - 1
      endIfAnswered(subject)
    })
  }

  /** The holders are counted: asks all nodes, or one of them. */
  #route(subjects: readonly Subject[]): void {
    const isForAll = subjects.filter((subject) => subject.isForAll)
    if (isForAll.length > 0) this.#askAll(isForAll)
    const nodes = [...this.#nodes.keys()]
    // A question to one node has many channels, so it goes to a node that is likely to hold many of them.
    const node = nodes[Math.floor(Math.random() * nodes.length)]
    const isWorthAsking = ({ others, hasAskedOne }: Subject): boolean =>
      node !== undefined && !hasAskedOne && others * MAX_NODES_PER_HOLDER >= nodes.length
    const background = subjects.filter((subject) => !subject.isForAll)
    const worthAsking = background.filter(isWorthAsking)
    if (worthAsking.length > 0) this.#askNode(node!, worthAsking)
    for (const subject of background) if (!worthAsking.includes(subject)) end(subject, false)
  }

  #askSoon(node: string, subjects: readonly Subject[]): void {
    const gathered = this.#gathered.get(node)
    if (gathered !== undefined) {
      for (const subject of subjects) gathered.push(subject)
      return
    }
    for (const batch of inBatches(subjects)) this.#askNode(node, batch)
    const next: Subject[] = []
    this.#gathered.set(node, next)
    setTimeout(() => {
      this.#gathered.delete(node)
      if (next.length > 0) this.#askSoon(node, next)
    }, GATHER_MS)
  }

  #askNode(node: string, subjects: readonly Subject[]): void {
    const id = this.#begin(node, subjects, NODE_TIMEOUT_MS, () => {
      const open = subjects.filter(({ isOpen }) => isOpen)
      if (open.length > 0) void this.#start(open)
    })
    for (const subject of subjects) subject.hasAskedOne = true
    this.#control.publishToNode(node, this.#encode(id)).then(
      (receivers) => {
        if (receivers > 0) return
        this.#nodes.delete(node)
        this.#end(id)
      },
      () => this.#end(id),
    )
  }

  #askAll(subjects: readonly Subject[], isRepeated = false): void {
    const id = this.#begin(null, subjects, TIMEOUT_MS, ({ answered, others }) => {
      const open = subjects.filter(({ isOpen }) => isOpen)
      const isComplete = others !== null && answered.size >= others
      // If no node at all has answered, the connection of this node is probably dead, and is renewed soon. If a node that
      // holds the channel has not answered, it is busy. It may be the only one that has the messages.
      const isUnheard = (subject: Subject): boolean =>
        !isComplete && (answered.size === 0 || subject.answered.size < subject.others)
      const again = isRepeated ? [] : open.filter(isUnheard)
      if (again.length > 0) this.#askAll(again, true)
      for (const subject of open) if (!again.includes(subject)) end(subject, true)
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
  #begin(
    node: string | null,
    subjects: readonly Subject[],
    timeoutMs: number,
    ended: (question: Question) => void,
  ): number {
    const id = ++this.#lastId
    const cancelTimeout = runningTimeout(timeoutMs, () => this.#end(id))
    this.#questions.set(id, { node, subjects, cancelTimeout, ended, answered: new Set(), others: null })
    return id
  }

  #end(id: number): void {
    const question = this.#forget(id)
    question?.ended(question)
  }

  #forget(id: number): Question | undefined {
    const question = this.#questions.get(id)
    question?.cancelTimeout()
    this.#questions.delete(id)
    return question
  }

  #encode(id: number): ControlMessageOf<'where'> {
    const { subjects } = this.#questions.get(id)!
    const channels = subjects.map(({ channel, position }) => [channel, formatPosition(position)] as const)
    return { type: 'where', id, node: this.#control.node, channels }
  }

  #answer({ id, node, channels }: ControlMessageOf<'where'>, isToAll: boolean): void {
    if (node === this.#control.node) return
    this.heardOf(node)
    const held: [index: number, start: string, last?: string, isAsking?: boolean][] = []
    channels.forEach(([channel, text], index) => {
      const position = parsePosition(text)
      const located = position && this.#locate(channel, position)
      if (located) {
        const { start, last, isAsking } = located
        const isShort = !isAsking && comparePositions(start, last) === 0
        if (isShort) held.push([index, formatPosition(start)])
        else held.push([index, formatPosition(start), formatPosition(last), isAsking])
      } else if (located === null) held.push([index, ''])
    })
    // If the answer cannot be sent, the timeout of the other node ends its question.
    const named = isToAll ? { node: this.#control.node } : {}
    const answer = { type: 'whereIs', id, ...named, channels: held } as const
    this.#control.publishToNode(node, answer).catch(() => {})
  }

  #receive({ id, node: named, channels }: ControlMessageOf<'whereIs'>): void {
    const question = this.#questions.get(id)
    const node = named ?? question?.node
    if (node == null) return
    this.heardOf(node)
    if (question === undefined || question.answered.has(node)) return
    question.answered.add(node)
    for (const [index, startText, lastText = startText, isAsking = false] of channels) {
      const subject = question.subjects[index]
      if (subject?.isOpen !== true) continue
      subject.answered.add(node)
      const start = parsePosition(startText)
      const last = parsePosition(lastText)
      if (start !== null && last !== null) found(subject, { node, start, last, isAsking })
    }
    if (question.node !== null) return this.#end(id)
    this.#endIfAnswered(id)
  }

  #endIfAnswered(id: number): void {
    const question = this.#questions.get(id)
    if (question === undefined) return
    const { answered, others, subjects } = question
    const isComplete = others !== null && answered.size >= others
    if (isComplete || subjects.every(({ isOpen }) => !isOpen)) this.#end(id)
  }
}

/** Ends the subject if there are no other holders, or if all have answered. */
function endIfAnswered(subject: Subject): void {
  const { others, answered, isForAll } = subject
  // If a client waits, the answers of all nodes are awaited: the holders may have changed since they were counted.
  if (others <= 0 || (!isForAll && answered.size >= others)) end(subject, true)
}

function groupBy<T, Key>(items: readonly T[], keyOf: (item: T) => Key): Map<Key, T[]> {
  const groups = new Map<Key, T[]>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [item])
    else group.push(item)
  }
  return groups
}

function inBatches(subjects: readonly Subject[]): Subject[][] {
  const batches: Subject[][] = []
  for (let i = 0; i < subjects.length; i += CHANNELS_PER_QUESTION) {
    batches.push(subjects.slice(i, i + CHANNELS_PER_QUESTION))
  }
  return batches
}
