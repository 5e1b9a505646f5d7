import type { LoggedChannel } from '../channels/channel.ts'
import { entryText } from '../channels/frames.ts'
import { comparePositions, formatPosition, type Position } from '../channels/position.ts'
import type { Counts } from '../metrics/counts.ts'
import type { Answer } from './answers.ts'
import { gapOf, type Cursor } from './cursor.ts'
import { answeredBytes, gather, type Run } from './gather.ts'
import type { SharedAnswer, SharedAnswers } from './sharedAnswers.ts'

/** What the answer to a poll needs of the server. */
export interface PollAnswerHost {
  /** The maximum number of bytes of messages in one answer. The next poll gets the rest. */
  readonly maxAnswerBytes: number
  readonly shared: SharedAnswers
  readonly counts: Counts
}

export type Delivered = Readonly<Record<string, string>>

export const NOTHING: Delivered = {}

/** The answer to a poll with the messages after its cursors: all of them, or as many as fit into an answer. */
export class PollAnswer {
  readonly answer: Answer
  /** Whether the answer contains messages. */
  hasMessages = false
  /**
   * The position after the answer, for each channel of which it contains messages. Only for clients that do not send their
   * positions.
   */
  delivered = NOTHING
  readonly #host: PollAnswerHost
  readonly #withPositions: boolean
  /** Whether the poll is a repetition, whose answer has the messages of an earlier one. */
  readonly #isRepetition: boolean

  constructor(
    host: PollAnswerHost,
    cursors: ReadonlyMap<string, Cursor>,
    withPositions: boolean,
    isRepetition: boolean,
  ) {
    this.#host = host
    this.#withPositions = withPositions
    this.#isRepetition = isRepetition
    this.answer = this.#known(cursors) ?? this.#make(cursors)
  }

  /**
   * The answer that another poll has got in this turn of the event loop, if this poll has a single channel. This is the common case,
   * so it comes before everything else.
   */
  #known(cursors: ReadonlyMap<string, Cursor>): Answer | null {
    if (cursors.size !== 1 || this.#isRepetition) return null
    const cursor = cursors.values().next().value!
    const { channel, from } = cursor
    if (channel.state !== 'live' || gapOf(cursor) !== null) return null
    const first = channel.log.firstAfter(from)
    if (first === null) return null
    const known = this.#host.shared.find(channel, first, channel.log.newest!, this.#withPositions)
    return known === null ? null : this.#share(channel, known)
  }

  #make(cursors: ReadonlyMap<string, Cursor>): Answer {
    const gaps: string[] = []
    const runs: Run[] = []
    for (const [name, cursor] of cursors) {
      const { channel } = cursor
      const { log } = channel
      // While a hole is being filled, the messages would be in the wrong order. The next poll gets them.
      if (channel.state !== 'live') continue
      const gap = gapOf(cursor)
      const from = log.covers(cursor.from) ? cursor.from : log.start
      if (gap !== null) {
        this.#host.counts.gaps[gap] += 1
        // A client that can not be told of the gap also continues from this position.
        if (this.#withPositions)
          gaps.push(
            JSON.stringify({ __type: 'gap', channel: name, position: formatPosition(from), reason: gap }),
          )
        else this.#deliver(name, from)
      }
      const after = log.after(from, this.#host.maxAnswerBytes)
      const { end } = cursor
      const entries = end === null ? after : after.filter((entry) => comparePositions(entry, end) <= 0)
      if (entries.length > 0) runs.push({ channel, entries })
    }
    if (runs.length === 1 && gaps.length === 0) return this.#one(runs[0]!)
    return { status: 200, body: `[${[...gaps, ...this.#merged(runs)].join(',')}]` }
  }

  /** The answer with messages of a single channel. Many polls have the same one. */
  #one({ channel, entries }: Run): Answer {
    const { shared, maxAnswerBytes } = this.#host
    // A repetition does not have the messages that have come since.
    const newest = this.#isRepetition ? entries.at(-1)! : channel.log.newest!
    const known = shared.find(channel, entries[0]!, newest, this.#withPositions)
    if (known !== null) return this.#share(channel, known)
    let bytes = 0
    const over = entries.findIndex((entry) => (bytes += answeredBytes(channel, entry)) > maxAnswerBytes)
    const given = over === -1 ? entries : entries.slice(0, Math.max(1, over))
    return this.#share(channel, shared.make(channel, given, newest, this.#withPositions))
  }

  #share(channel: LoggedChannel, { entries, newest, answer }: SharedAnswer): Answer {
    const last = entries.at(-1)!
    this.#deliver(channel.name, last)
    this.#host.counts.deliveries.longpoll += entries.length
    if (last !== newest) this.#cut()
    return answer
  }

  /** The messages of several channels, in the order of their arrival. */
  #merged(runs: readonly Run[]): string[] {
    const given = gather(runs, this.#host.maxAnswerBytes)
    this.#host.counts.deliveries.longpoll += given.length
    const last = new Map(given.map(({ channel, entry }) => [channel, entry]))
    for (const [channel, entry] of last) this.#deliver(channel.name, entry)
    const isComplete = runs.every(({ channel }) => last.get(channel) === channel.log.newest)
    if (!isComplete) this.#cut()
    return given.map(({ channel, entry }) => entryText(entry, channel.nameJson, this.#withPositions))
  }

  /** The answer does not hold all messages. */
  #cut(): void {
    if (!this.#isRepetition) this.#host.counts.limits.answerBytes += 1
  }

  #deliver(channel: string, position: Position): void {
    this.hasMessages = true
    if (this.#withPositions) return
    if (this.delivered === NOTHING) this.delivered = Object.create(null) as Record<string, string>
    ;(this.delivered as Record<string, string>)[channel] = formatPosition(position)
  }
}
