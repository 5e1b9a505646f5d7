import { BroadcasterClient, type Mode } from '@broadcaster/client'
import { WebSocket } from 'ws'
import { ChannelRecord, type RecordData } from './record.ts'

export type ClientSetup = {
  readonly name: string
  readonly url: string
  readonly mode: Mode
  readonly channels: readonly string[]
}

/** The number of the last message of each channel. */
export type Heads = Readonly<Record<string, number>>

export type ToClients =
  | { readonly type: 'start'; readonly clients: readonly ClientSetup[] }
  /** Asks for the clients that have not received all of these messages. */
  | { readonly type: 'behind'; readonly heads: Heads }
  | { readonly type: 'results' }

export type FromClients =
  | { readonly type: 'started' }
  | { readonly type: 'behind'; readonly behind: readonly string[] }
  | { readonly type: 'results'; readonly results: Results }

export type Results = {
  readonly records: readonly RecordData[]
  readonly deliveries: number
  /** The number of deliveries for each latency in whole ms. The last item includes all longer ones. */
  readonly latencies: readonly number[]
  /** The times from an interruption until the client had all messages again, in ms. */
  readonly recoveries: readonly number[]
  /** The clients that have given up, with their reasons. */
  readonly gaveUp: readonly string[]
}

const LONGEST_LATENCY_MS = 60_000
const latencies = Array.from({ length: LONGEST_LATENCY_MS + 1 }, () => 0)
const recoveries: number[] = []
const gaveUp: string[] = []
let deliveries = 0

/** A client that records what it receives and how long it is interrupted. */
class ChaosClient {
  readonly records: readonly ChannelRecord[]
  readonly ready: Promise<unknown>
  readonly #client: BroadcasterClient
  readonly #unsubscribed = new Set<string>()
  #isPollBroken = false
  #interruptedAt: number | null = null

  constructor({ name, url, mode, channels }: ClientSetup) {
    this.records = channels.map((channel) => new ChannelRecord(name, channel))
    this.#client = new BroadcasterClient(url, {
      mode,
      WebSocket,
      pingInterval: 5_000,
      fetch: (address, init) => this.#fetch(address, init),
    })
    this.#client.on('disconnected', ({ reason }) => gaveUp.push(`${name}: ${reason}`))
    this.ready = Promise.all(this.records.map((record) => this.#subscribe(record).ready))
    this.#client.on('status', ({ from, to }) => {
      if (from === 'connected' && to !== 'connected') this.#interrupted()
      else this.#check()
    })
  }

  #subscribe(record: ChannelRecord) {
    const hear = (body: string): void => {
      const [number, publishedAt] = body.split(' ', 2).map(Number) as [number, number]
      const now = Date.now()
      deliveries += 1
      latencies[Math.max(0, Math.min(now - publishedAt, LONGEST_LATENCY_MS))]! += 1
      record.hear(number, now)
    }
    return this.#client.subscribe(record.channel, hear, {
      onGap: ({ reason }) => record.gap(reason, Date.now()),
      onStatus: (status) => {
        if (status === 'subscribed') this.#unsubscribed.delete(record.channel)
        else this.#unsubscribed.add(record.channel)
        // The replay is delivered right after this.
        queueMicrotask(() => this.#check())
      },
    })
  }

  /** Fetches, and notes whether polls fail. */
  async #fetch(url: string, init: RequestInit & { signal: AbortSignal }): Promise<Response> {
    const isPoll = String(init.body).includes('"__type":"poll"')
    try {
      const response = await fetch(url, init)
      if (isPoll) this.#isPollBroken = response.status !== 200
      if (response.status === 200) setImmediate(() => this.#check())
      else this.#interrupted()
      return response
    } catch (error) {
      if (isPoll && !init.signal.aborted) {
        this.#isPollBroken = true
        this.#interrupted()
      }
      throw error
    }
  }

  #interrupted(): void {
    this.#interruptedAt ??= Date.now()
  }

  #check(): void {
    const isWell =
      this.#client.status === 'connected' &&
      this.#unsubscribed.size === 0 &&
      !(this.#client.transport === 'longpoll' && this.#isPollBroken)
    if (!isWell || this.#interruptedAt === null) return
    recoveries.push(Date.now() - this.#interruptedAt)
    this.#interruptedAt = null
  }
}

let clients: ChaosClient[] = []

process.on('message', (message: ToClients) => void handle(message))
process.on('disconnect', () => process.exit(0))

async function handle(message: ToClients): Promise<void> {
  switch (message.type) {
    case 'start':
      clients = message.clients.map((setup) => new ChaosClient(setup))
      await Promise.all(clients.map(({ ready }) => ready))
      return answer({ type: 'started' })
    case 'behind': {
      const records = clients.flatMap(({ records }) => records)
      const behind = records.filter(({ channel, last }) => last < (message.heads[channel] ?? 0))
      const names = behind.map(
        ({ client, channel, last }) => `${client} ${channel} ${last} < ${message.heads[channel]}`,
      )
      return answer({ type: 'behind', behind: names })
    }
    case 'results': {
      const records = clients.flatMap(({ records }) => records.map(({ data }) => data))
      return answer({ type: 'results', results: { records, deliveries, latencies, recoveries, gaveUp } })
    }
  }
}

function answer(message: FromClients): void {
  process.send!(message)
}
