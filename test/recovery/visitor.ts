import { BroadcasterClient, type ClientOptions } from '@broadcaster/client'
import { onTestFinished } from 'vitest'
import { WebSocket } from 'ws'
import { until, within } from '../support/waiting.ts'

/** A client of one channel that records messages and gaps in order. */
export class Visitor {
  readonly client: BroadcasterClient
  /** The bodies of messages, and `gap: reason` for each gap. */
  readonly heard: string[] = []
  /** The position after each item of `heard`. */
  readonly positions: (string | undefined)[] = []
  readonly #ready: Promise<void>

  private constructor(url: string, channel: string, options: ClientOptions) {
    this.client = new BroadcasterClient(url, { WebSocket, ...options })
    const subscription = this.client.subscribe(channel, (body, { position }) => this.#note(body, position), {
      onGap: ({ reason, position }) => this.#note(`gap: ${reason}`, position),
    })
    this.#ready = subscription.ready
    onTestFinished(() => this.client.disconnect())
  }

  /** Resolves when the channel is subscribed. */
  static async come(url: string, channel: string, options: ClientOptions = {}): Promise<Visitor> {
    const visitor = new Visitor(url, channel, options)
    await within(visitor.#ready, `the subscription of ${channel}`)
    return visitor
  }

  /** Resolves with `heard` when its last item is `last`. */
  async hears(last: string): Promise<string[]> {
    await until(
      `'${last}' to arrive after ${this.heard.slice(-5).join(', ')}`,
      () => this.heard.at(-1) === last,
    )
    return this.heard
  }

  #note(what: string, position: string | undefined): void {
    this.heard.push(what)
    this.positions.push(position)
  }
}

/** The numbers from `first` to `count`, as strings. */
export function numbers(count: number, first = 1): string[] {
  return Array.from({ length: count - first + 1 }, (_, i) => String(first + i))
}
