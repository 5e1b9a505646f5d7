export const MAX_ENTRIES = 200
/** Replays and gaps of several channels within this time are one entry. */
const TOGETHER_MS = 1_000

export type Tone = 'plain' | 'good' | 'wait' | 'bad'

export interface Entry {
  readonly at: number
  readonly tone: Tone
  readonly text: string
}

/** What happened to the connection, oldest first. The oldest entries are removed when there are too many. */
export class Timeline {
  readonly entries: Entry[] = []
  #group: { what: string; channels: Set<string>; messages: number } | null = null

  add(tone: Tone, text: string): void {
    this.#group = null
    this.#push(tone, text)
  }

  /**
   * Adds something that may happen to many channels at the same time, so that a reconnection with a thousand channels does not remove
   * everything else.
   */
  addForChannel(tone: Tone, what: string, channel: string, messages = 0): void {
    const last = this.entries.at(-1)
    if (this.#group?.what === what && last && Date.now() - last.at < TOGETHER_MS) this.entries.pop()
    else this.#group = { what, channels: new Set(), messages: 0 }
    const group = this.#group
    group.channels.add(channel)
    group.messages += messages
    const where = group.channels.size === 1 ? channel : `${group.channels.size} channels`
    const count = group.messages === 0 ? '' : ` (${group.messages})`
    this.#push(tone, `${what}${count}: ${where}`)
  }

  #push(tone: Tone, text: string): void {
    this.entries.push({ at: Date.now(), tone, text })
    if (this.entries.length > MAX_ENTRIES) this.entries.shift()
  }
}
