import { BroadcasterClient, type Mode } from '@broadcaster/client'
import { WebSocket } from 'ws'
import { ChannelRecord } from '../chaos/record.ts'
import { inFull } from './extent.ts'
import { sleep, until, within } from './waiting.ts'

/** The pause of a channel between two messages. The more messages, the more CPU time all nodes and clients take. */
const PAUSE_MS = inFull(2, 10)

/** Something that publishes a message. It rejects if it is unknown whether the message was published. */
export type TrafficPublisher = { publish(channel: string, body: string): Promise<unknown> }

/** Numbered messages in several channels, which several publishers publish in turn, and clients that record them. */
export class Traffic {
  readonly #publishers: readonly TrafficPublisher[]
  readonly #channels: readonly string[]
  readonly #last = new Map<string, number>()
  /** The messages of which `publish()` does not say whether they were published. */
  readonly #unsure = new Set<string>()
  readonly #turns = new Map<string, Promise<number | null>>()
  readonly #records: ChannelRecord[] = []
  readonly #clients: BroadcasterClient[] = []
  #isDone = false
  #working: Promise<unknown> = Promise.resolve()

  constructor(publishers: readonly TrafficPublisher[], channels: readonly string[]) {
    this.#publishers = publishers
    this.#channels = channels
  }

  /** A client of all channels. Resolves when it is subscribed. */
  async listen(url: string, mode: Mode): Promise<void> {
    const client = new BroadcasterClient(url, { mode, WebSocket })
    this.#clients.push(client)
    const ready = this.#channels.map((channel) => {
      const record = new ChannelRecord(`a client of ${url} over ${mode}`, channel)
      this.#records.push(record)
      const hear = (body: string): void => record.hear(Number(body), Date.now())
      return client.subscribe(channel, hear, { onGap: ({ reason }) => record.gap(reason, Date.now()) }).ready
    })
    await within(Promise.all(ready), 'the subscriptions')
  }

  start(): void {
    this.#working = Promise.all(
      this.#channels.map(async (channel, i) => {
        while (!this.#isDone) {
          await this.#publish(channel, i)
          await sleep(PAUSE_MS)
        }
      }),
    )
  }

  /** Resolves when every client has a message of each of these channels that is published now. */
  async arrives(channels = this.#channels): Promise<void> {
    const heads = await Promise.all(
      channels.map(async (channel) => {
        const publish = () => this.#publish(channel, this.#channels.indexOf(channel))
        return [
          channel,
          await until(`a message to be published in ${channel}`, publish, { ms: 60_000 }),
        ] as const
      }),
    )
    const headOf = new Map(heads)
    await until(
      'every client to have the last message',
      () => this.#records.every(({ channel, last }) => last >= (headOf.get(channel) ?? 0)),
      { ms: 60_000 },
    )
  }

  /** Stops. Returns everything that breaks the guarantee: messages that are lost without a gap, doubled, or late. */
  async faults(): Promise<string[]> {
    this.#isDone = true
    await this.#working
    await this.arrives()
    return this.#records.flatMap(({ data: { client, channel, jumps, duplicated, outOfOrder } }) => {
      const isSure = ({ number }: { readonly number: number }): boolean =>
        !this.#unsure.has(`${channel} ${number}`)
      const silent = jumps.filter(({ after, to, gap }) => {
        const missing = Array.from({ length: to - after - 1 }, (_, i) => after + 1 + i)
        return gap === null && missing.some((number) => isSure({ number }))
      })
      return [
        ...silent.map(({ after, to }) => `${client} got no message between ${after} and ${to}, and no gap`),
        ...duplicated.map(({ number }) => `${client} got ${number} twice`),
        ...outOfOrder.filter(isSure).map(({ number }) => `${client} got ${number} late`),
      ]
    })
  }

  /** The gaps of each client in each channel, or in this channel. */
  gaps(channel?: string): string[][] {
    const records = this.#records.filter((record) => channel === undefined || record.channel === channel)
    return records.map((record) => record.data.gaps.map(({ reason }) => reason))
  }

  close(): void {
    this.#isDone = true
    for (const client of this.#clients) void client.disconnect()
  }

  /**
   * Publishes the next message of the channel, after the one before. Resolves with its number, or with `null` if it is
   * unknown whether it was published.
   */
  #publish(channel: string, turn: number): Promise<number | null> {
    const next = (this.#turns.get(channel) ?? Promise.resolve(null)).then(() =>
      this.#publishNow(channel, turn),
    )
    this.#turns.set(channel, next)
    return next
  }

  async #publishNow(channel: string, turn: number): Promise<number | null> {
    const number = (this.#last.get(channel) ?? 0) + 1
    this.#last.set(channel, number)
    try {
      await this.#publishers[(number + turn) % this.#publishers.length]!.publish(channel, String(number))
      return number
    } catch {
      this.#unsure.add(`${channel} ${number}`)
      return null
    }
  }
}
