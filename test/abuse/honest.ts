import { BroadcasterClient, type TransportName } from '@broadcaster/client'
import { WebSocket } from 'ws'
import { ChannelRecord } from '../chaos/record.ts'
import { within } from '../support/waiting.ts'

export const HONEST_CHANNEL = 'honest'

/** A client that follows the rules. It has to get every message without a long delay. */
export class Honest {
  readonly record: ChannelRecord
  /** The times from `PUBLISH` to the handler, in ms. */
  readonly latencies: number[] = []
  readonly #client: BroadcasterClient

  private constructor(url: string, mode: TransportName) {
    this.record = new ChannelRecord(mode, HONEST_CHANNEL)
    this.#client = new BroadcasterClient(url, { mode, WebSocket })
  }

  static async connect(url: string, mode: TransportName): Promise<Honest> {
    const honest = new Honest(url, mode)
    const subscription = honest.#client.subscribe(
      HONEST_CHANNEL,
      (body) => {
        const { n, at } = JSON.parse(String(body)) as { n: number; at: number }
        const now = Date.now()
        honest.record.hear(n, now)
        honest.latencies.push(now - at)
      },
      { onGap: ({ reason }) => honest.record.gap(reason, Date.now()) },
    )
    await within(subscription.ready, `an honest client over ${mode}`, 60_000)
    return honest
  }

  stop(): Promise<void> {
    return Promise.resolve(this.#client.disconnect())
  }
}
