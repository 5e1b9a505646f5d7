import type { GapReason, Position } from '@broadcaster/protocol'

/** One message. */
export interface Entry {
  /** The place of the message in its channel: 1, 2, 3, ... */
  readonly count: number
  /** The place of the message among those of all channels. */
  readonly arrival: number
  readonly body: string
}

/** The place up to which a client has the messages of a channel. `null`: the client sent a position that is none. */
export type Cursor = number | null

/** The messages of one channel. They are kept for clients that come back, and for long-poll. */
export class ChannelLog {
  readonly name: string
  readonly #run: string
  readonly #maxMessages: number
  #entries: Entry[] = []
  /** The place of the newest message. */
  #head = 0
  /** The log has every message after this place. */
  #start = 0
  /** Why it does not have the messages before. */
  #reason: GapReason = 'expired'

  /** @param run Positions of another run, which is another server, are not known here. */
  constructor(name: string, run: string, maxMessages: number) {
    this.name = name
    this.#run = run
    this.#maxMessages = maxMessages
  }

  get head(): number {
    return this.#head
  }

  get start(): number {
    return this.#start
  }

  get newest(): Entry | undefined {
    return this.#entries.at(-1)
  }

  append(body: string, arrival: number): Entry {
    const entry = { count: ++this.#head, arrival, body }
    this.#entries.push(entry)
    if (this.#entries.length > this.#maxMessages) {
      this.#start = this.#entries.shift()!.count
      this.#reason = 'overflow'
    }
    return entry
  }

  /** A message that nobody receives. */
  lose(reason: GapReason): void {
    this.#entries = []
    this.#start = ++this.#head
    this.#reason = reason
  }

  /** The messages after this place, or the reason why some of them are missing. */
  after(cursor: Cursor): readonly Entry[] | GapReason {
    if (cursor === null) return 'expired'
    return cursor < this.#start ? this.#reason : this.#entries.filter(({ count }) => count > cursor)
  }

  /** The newest messages up to this place, at most `max`. */
  upTo(place: number, max: number): readonly Entry[] {
    const entries = this.#entries.filter(({ count }) => count <= place)
    return entries.slice(Math.max(0, entries.length - max))
  }

  positionOf(count: number): Position {
    return `${this.#run}.${count}`
  }

  cursorOf(position: Position): Cursor {
    const [run, digits = ''] = position.split('.')
    return run === this.#run && /^\d{1,15}$/.test(digits) && Number(digits) <= this.#head
      ? Number(digits)
      : null
  }
}
