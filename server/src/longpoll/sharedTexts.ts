import type { Channel } from '../channels/channel.ts'
import { entryText } from '../channels/frames.ts'
import type { Entry } from '../channels/log.ts'

/** Entries that follow each other in one channel, as the text of an answer. */
interface Run {
  readonly first: Entry
  readonly last: Entry
  readonly withPositions: boolean
  readonly text: string
}

/**
 * The polls of one channel wait for the same messages, and most of them are answered in the same turn of the event loop:
 * the text is made once for all of them. Nothing is kept beyond the turn, since such a text may be large and no limit
 * counts it.
 */
export class SharedTexts {
  readonly #runs = new Map<Channel, Run>()

  /** The text of entries that follow each other; there is at least one. */
  of(channel: Channel, entries: readonly Entry[], withPositions: boolean): string {
    const [first, last] = [entries[0]!, entries.at(-1)!]
    const run = this.#runs.get(channel)
    if (run?.first === first && run.last === last && run.withPositions === withPositions) return run.text
    const text = entries.map((entry) => entryText(entry, channel.nameJson, withPositions)).join(',')
    if (this.#runs.size === 0) setImmediate(() => this.#runs.clear())
    this.#runs.set(channel, { first, last, withPositions, text })
    return text
  }
}
