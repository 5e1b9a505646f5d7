import type { Channel } from '../channels/channel.ts'
import { entryText } from '../channels/frames.ts'
import type { Entry } from '../channels/log.ts'

/** The text of consecutive entries of one channel. */
interface Run {
  readonly first: Entry
  readonly last: Entry
  readonly withPositions: boolean
  readonly text: string
}

/**
 * The polls of one channel wait for the same messages, and most of them are answered in the same turn of the event loop. So the
 * text is made once for all of them. It is not kept after the turn, because it may be large and counts for no limit.
 */
export class SharedTexts {
  readonly #runs = new Map<Channel, Run>()

  /** The text of consecutive entries. There is at least one. */
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
