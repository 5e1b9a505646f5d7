import type { Channel, LoggedChannel } from '../channels/channel.ts'
import type { Entry } from '../channels/log.ts'

/** The entries of one channel that an answer may contain, oldest first. There is at least one. */
export interface Run {
  readonly channel: LoggedChannel
  readonly entries: readonly Entry[]
}

export interface Gathered {
  readonly channel: Channel
  readonly entry: Entry
}

/** The size with which a message counts for the limit of an answer. */
export function answeredBytes(channel: Channel, entry: Entry): number {
  return entry.bytes + channel.nameJson.length
}

/** The first messages of several channels in the order of their arrival: at least one, and at most `maxBytes`. */
export function gather(runs: readonly Run[], maxBytes: number): Gathered[] {
  // The channel with the oldest message is the last one.
  const queue = runs.map((run) => new Source(run)).sort((a, b) => b.arrival - a.arrival)
  const gathered: Gathered[] = []
  let bytes = 0
  for (let source = queue.pop(); source !== undefined; source = queue.pop()) {
    const { channel, entry } = source
    bytes += answeredBytes(channel, entry)
    if (bytes > maxBytes && gathered.length > 0) break
    gathered.push({ channel, entry })
    if (source.advance()) insert(queue, source)
  }
  return gathered
}

/** The remaining entries of one channel. */
class Source {
  readonly channel: Channel
  readonly #entries: readonly Entry[]
  #index = 0
  #arrival: number

  constructor({ channel, entries }: Run) {
    this.channel = channel
    this.#entries = entries
    this.#arrival = entries[0]!.arrival
  }

  get entry(): Entry {
    return this.#entries[this.#index]!
  }

  /** The order of the next message. A message from another node has none. It comes after the earlier messages of its channel. */
  get arrival(): number {
    return this.#arrival
  }

  /** Advances to the next message. Returns false if there is none. */
  advance(): boolean {
    this.#index += 1
    if (this.#index === this.#entries.length) return false
    this.#arrival = Math.max(this.#arrival, this.entry.arrival)
    return true
  }
}

function insert(queue: Source[], source: Source): void {
  let low = 0
  let high = queue.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (queue[middle]!.arrival >= source.arrival) low = middle + 1
    else high = middle
  }
  queue.splice(low, 0, source)
}
