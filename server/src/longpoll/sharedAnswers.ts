import type { Answer } from './answers.ts'
import type { Channel } from '../channels/channel.ts'
import { entryText } from '../channels/frames.ts'
import type { Entry } from '../channels/log.ts'

/** An answer with consecutive entries of one channel. */
export interface SharedAnswer {
  readonly first: Entry
  /** The newest entry that polls wait for. The answer may be too small to hold it. */
  readonly newest: Entry
  readonly entries: readonly Entry[]
  readonly withPositions: boolean
  readonly answer: Answer
}

/**
 * The polls of one channel wait for the same messages, and most of them are answered in the same turn of the event loop. So the
 * answer is made once for all of them. It is not kept after the turn, because it may be large and counts for no limit.
 */
export class SharedAnswers {
  readonly #answers = new Map<Channel, SharedAnswer>()

  /** The answer with the entries of the channel from `first` on, if another poll has got it. */
  find(channel: Channel, first: Entry, newest: Entry, withPositions: boolean): SharedAnswer | null {
    const found = this.#answers.get(channel)
    if (found?.first !== first || found.newest !== newest) return null
    return found.withPositions === withPositions ? found : null
  }

  /** Makes the answer with these entries, of which there is at least one. `newest` is the newest one that polls wait for. */
  make(channel: Channel, entries: readonly Entry[], newest: Entry, withPositions: boolean): SharedAnswer {
    const texts = entries.map((entry) => entryText(entry, channel.nameJson, withPositions))
    const body = `[${texts.join(',')}]`
    const answer = { status: 200, body, bytes: Buffer.byteLength(body) }
    const made = { first: entries[0]!, newest, entries, withPositions, answer }
    if (this.#answers.size === 0) setImmediate(() => this.#answers.clear())
    this.#answers.set(channel, made)
    return made
  }
}
