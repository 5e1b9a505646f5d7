export type TimelineEvent = {
  readonly id: number
  readonly at: number
  readonly kind: 'good' | 'bad' | 'fault' | 'gap' | 'info'
  readonly text: string
  /** How often it has happened in a row. */
  readonly times: number
}

const MOST_EVENTS = 100
/** Gaps of several channels that come together are one event. */
const TOGETHER_MS = 1_000

export class Timeline {
  #events: readonly TimelineEvent[] = []
  #count = 0
  #gap: { id: number; reason: string; channels: Set<string> } | null = null

  newestFirst(): readonly TimelineEvent[] {
    return this.#events
  }

  add(kind: TimelineEvent['kind'], text: string): void {
    const [newest, ...older] = this.#events
    if (newest?.text === text)
      this.#events = [{ ...newest, at: Date.now(), times: newest.times + 1 }, ...older]
    else this.#push({ id: this.#count++, at: Date.now(), kind, text, times: 1 })
  }

  addGap(channel: string, reason: string): void {
    const gap = this.#gap
    const told = this.#events.find(({ id }) => id === gap?.id)
    if (gap === null || told === undefined || gap.reason !== reason || Date.now() - told.at > TOGETHER_MS) {
      const id = this.#count++
      this.#gap = { id, reason, channels: new Set([channel]) }
      this.#push({ id, at: Date.now(), kind: 'gap', text: `Gap told in ${channel}: ${reason}`, times: 1 })
      return
    }
    gap.channels.add(channel)
    const text = `Gap told in ${gap.channels.size} channels: ${reason}`
    this.#events = this.#events.map((event) => (event === told ? { ...told, text } : event))
  }

  #push(event: TimelineEvent): void {
    this.#events = [event, ...this.#events].slice(0, MOST_EVENTS)
  }
}
