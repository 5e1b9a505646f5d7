import type { Channel } from '../channels/channel.ts'
import { formatPosition } from '../channels/position.ts'
import type { ControlMessageOf } from '../control/control.ts'

/** The maximum number of channels in one message. */
const CHANNELS_PER_MESSAGE = 500
/**
 * The maximum number of channels for which a node has not answered yet. It subscribes to them and requests their logs, so more
 * would delay the clients of both nodes.
 */
const MAX_UNANSWERED = 1000
/** The lease is renewed when no message was sent for this time, in ms. It lasts for three times as long. */
const RENEW_MS = 3000

/** The channels of a message that has not been answered yet. */
interface Unanswered {
  readonly channels: readonly Channel[]
  readonly sentAt: number
}

/** Another node that holds copies for this one. */
export class Partner {
  readonly node: string
  /** The channels that it was asked to hold, and whether it has confirmed each. */
  readonly channels = new Map<Channel, boolean>()
  /** When this node was last in the list of nodes, in ms since the process started. */
  seenAt: number
  readonly #unanswered = new Map<number, Unanswered>()
  #unansweredChannels = 0
  #toHold: Channel[] = []
  #toDrop: string[] = []
  #firstSeq = 0
  #lastSeq = 0
  #sentAt = -Infinity

  constructor(node: string, now: number) {
    this.node = node
    this.seenAt = now
  }

  get hasRoom(): boolean {
    return this.#unansweredChannels + this.#toHold.length < MAX_UNANSWERED
  }

  /** Whether nothing is left to do or to hold. */
  get isDone(): boolean {
    return this.channels.size === 0 && this.#toDrop.length === 0
  }

  /** Whether the number is that of a message of this partnership. */
  hasSent(seq: number): boolean {
    return seq >= this.#firstSeq && seq <= this.#lastSeq
  }

  ask(channel: Channel): void {
    this.channels.set(channel, false)
    this.#toHold.push(channel)
  }

  drop(channel: Channel): void {
    this.channels.delete(channel)
    this.#toDrop.push(channel.name)
  }

  /** The node has answered. Returns the channels that it does not hold. */
  answered({ seq, refused }: ControlMessageOf<'copied'>): Channel[] {
    const { channels } = this.#take(seq)
    const isRefused = new Set(refused)
    for (const [index, channel] of channels.entries()) {
      if (this.channels.has(channel)) this.channels.set(channel, !isRefused.has(index))
    }
    return channels.filter((channel, index) => isRefused.has(index) && this.channels.has(channel))
  }

  /** Returns the channels for which no answer has come since the time `before`. */
  overdue(before: number): Channel[] {
    const late = [...this.#unanswered].filter(([, { sentAt }]) => sentAt < before)
    return late.flatMap(([seq]) => this.#take(seq).channels).filter((channel) => this.channels.has(channel))
  }

  /** The messages that are due. `nextSeq` gives them their numbers. */
  *messages(node: string, now: number, nextSeq: () => number): Generator<ControlMessageOf<'copy'>> {
    const isRenewal = now - this.#sentAt >= RENEW_MS
    if (!isRenewal && this.#toHold.length === 0 && this.#toDrop.length === 0) return
    this.#sentAt = now
    do {
      const seq = nextSeq()
      const after = this.#lastSeq
      if (after === 0) this.#firstSeq = seq
      this.#lastSeq = seq
      const drop = this.#toDrop.splice(0, CHANNELS_PER_MESSAGE)
      // A channel may have been dropped and asked for again. So it is dropped first.
      const isNext = this.#toDrop.length === 0
      const next = isNext ? this.#toHold.splice(0, CHANNELS_PER_MESSAGE) : []
      const channels = next.filter((channel) => this.channels.has(channel))
      if (channels.length > 0) this.#unanswered.set(seq, { channels, sentAt: now })
      this.#unansweredChannels += channels.length
      const hold = channels.map(({ name, log }) => [name, formatPosition(log!.lastingStart)] as const)
      yield { type: 'copy', node, seq, after, hold, drop }
    } while (this.#toHold.length > 0 || this.#toDrop.length > 0)
  }

  #take(seq: number): Pick<Unanswered, 'channels'> {
    const taken = this.#unanswered.get(seq)
    if (taken === undefined) return { channels: [] }
    this.#unanswered.delete(seq)
    this.#unansweredChannels -= taken.channels.length
    return taken
  }
}
