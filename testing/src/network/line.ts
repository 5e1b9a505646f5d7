import type { ServerMessage } from '@broadcaster/protocol'
import type { Network } from './network.ts'

/** Something on its way from the server to a client. */
interface Delivery {
  /** The messages in it. */
  readonly messages: readonly ServerMessage[]
  readonly deliver: (messages: readonly ServerMessage[]) => void
}

/** The way from the server to one WebSocket or one request. What is sent on it arrives in order. */
export class Line {
  readonly #network: Network
  #onTheWay: Delivery[] = []

  constructor(network: Network) {
    this.#network = network
  }

  get isEmpty(): boolean {
    return this.#onTheWay.length === 0
  }

  send(messages: readonly ServerMessage[], deliver: Delivery['deliver']): void {
    const delivery = { messages, deliver }
    this.#onTheWay.push(delivery)
    this.#network.later(this, () => this.arrive(delivery.deliver))
  }

  /** What is on its way is lost. */
  cut(): void {
    this.#onTheWay = []
  }

  /** The messages that are on their way arrive with the channels in the reverse order. */
  reorder(): void {
    const channels = this.#onTheWay.map(({ messages, deliver }) => ({
      messages: reordered(messages, channelOf),
      deliver,
    }))
    this.#onTheWay = reordered(channels, ({ messages }) =>
      messages.length === 1 ? channelOf(messages[0]!) : undefined,
    )
  }

  /** Delivers everything, or everything up to this delivery: fake timers that were removed may have lost earlier ones. */
  arrive(last?: Delivery['deliver']): void {
    const index = this.#onTheWay.findIndex(({ deliver }) => deliver === last)
    for (const { messages, deliver } of this.#onTheWay.splice(0, last ? index + 1 : Infinity)) {
      this.#network.deliver(() => deliver(messages))
    }
    if (this.isEmpty) this.#network.arrived(this)
  }
}

function channelOf(message: ServerMessage): string | undefined {
  return 'channel' in message ? message.channel : undefined
}

/** The order within a channel stays. What belongs to no channel comes first. */
function reordered<Item>(items: readonly Item[], channelOf: (item: Item) => string | undefined): Item[] {
  const groups = new Map<string, Item[]>()
  const others: Item[] = []
  for (const item of items) {
    const channel = channelOf(item)
    if (channel === undefined) others.push(item)
    else groups.set(channel, [...(groups.get(channel) ?? []), item])
  }
  return [...others, ...[...groups.values()].reverse().flat()]
}
