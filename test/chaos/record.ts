import type { GapReason } from '@broadcaster/client'

/** The messages `after + 1` to `to - 1` did not arrive between `after` and `to`. */
export type Jump = {
  readonly after: number
  readonly to: number
  /** The reason of the gap of which the client was told there, or `null`. */
  readonly gap: GapReason | null
  readonly at: number
}

export type ToldGap = {
  readonly reason: GapReason
  /** The last message before the gap. */
  readonly after: number
  readonly at: number
}

/** A message that arrived again or late, after `last`. */
export type Repeated = { readonly number: number; readonly last: number; readonly at: number }

/** What one client received of one channel, whose messages are numbered 1, 2, 3, ... */
export type RecordData = {
  readonly client: string
  readonly channel: string
  readonly last: number
  readonly jumps: readonly Jump[]
  readonly gaps: readonly ToldGap[]
  readonly duplicated: readonly Repeated[]
  readonly outOfOrder: readonly Repeated[]
  /** The client was told of a gap, and no message arrived after it. */
  readonly endsWithGap: boolean
}

/** Records only irregularities, so that it needs little memory for hours. */
export class ChannelRecord {
  readonly client: string
  readonly channel: string
  last = 0
  readonly #jumps: Jump[] = []
  readonly #gaps: ToldGap[] = []
  readonly #duplicated: Repeated[] = []
  readonly #outOfOrder: Repeated[] = []
  /** The last gap, if no message has arrived after it. */
  #gap: GapReason | null = null

  constructor(client: string, channel: string) {
    this.client = client
    this.channel = channel
  }

  hear(number: number, at: number): void {
    if (number <= this.last) {
      const isLate = this.#jumps.some(({ after, to }) => number > after && number < to)
      ;(isLate ? this.#outOfOrder : this.#duplicated).push({ number, last: this.last, at })
      return
    }
    if (number > this.last + 1) this.#jumps.push({ after: this.last, to: number, gap: this.#gap, at })
    this.last = number
    this.#gap = null
  }

  gap(reason: GapReason, at: number): void {
    this.#gap = reason
    this.#gaps.push({ reason, after: this.last, at })
  }

  get data(): RecordData {
    return {
      client: this.client,
      channel: this.channel,
      last: this.last,
      jumps: this.#jumps,
      gaps: this.#gaps,
      duplicated: this.#duplicated,
      outOfOrder: this.#outOfOrder,
      endsWithGap: this.#gap !== null,
    }
  }
}
