import type { Answer } from './answers.ts'
import type { Channel } from '../channels/channel.ts'
import { entryText } from '../channels/frames.ts'
import type { Entry } from '../channels/log.ts'

/** The answer with consecutive entries of one channel. */
interface Run {
  readonly first: Entry
  readonly last: Entry
  readonly withPositions: boolean
  readonly answer: Answer
}

/**
 * The polls of one channel wait for the same messages, and most of them are answered in the same turn of the event loop. So the
 * text is made once for all of them. It is not kept after the turn, because it may be large and counts for no limit.
 */
export class SharedAnswers {
  readonly #runs = new Map<Channel, Run>()

  /** The answer with consecutive entries. There is at least one. */
  of(channel: Channel, entries: readonly Entry[], withPositions: boolean): Answer {
    const [first, last] = [entries[0]!, entries.at(-1)!]
    const run = this.#runs.get(channel)
    if (run?.first === first && run.last === last && run.withPositions === withPositions) return run.answer
    const texts = entries.map((entry) => entryText(entry, channel.nameJson, withPositions))
    const body = `[${texts.join(',')}]`
    const answer = { status: 200, body, bytes: Buffer.byteLength(body) }
    if (this.#runs.size === 0) setImmediate(() => this.#runs.clear())
    this.#runs.set(channel, { first, last, withPositions, answer })
    return answer
  }
}
