import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { eachOf } from './group.ts'

/** The number of clients that reconnect at the same time. With more, this process would be the bottleneck, not the nodes. */
const RECONNECTING_AT_ONCE = 100

type Answer = { readonly __type: string; readonly channel?: string; readonly position?: string }

export type SteadySubscriptions = {
  /** The ports of the nodes. There is one client for each. */
  readonly ports: readonly number[]
  /** Subscriptions per second of each client. */
  readonly rate: number
  readonly seconds: number
  /** Whether all clients subscribe to the same channels, or each one to its own. */
  readonly isShared: boolean
}

export type Storm = { readonly ports: readonly number[]; readonly clients: number }

export type Subscribed = {
  readonly subscriptions: number
  /** Milliseconds from the request to `subscribeOk`. For a storm: from the connection attempt. */
  readonly p50: number
  readonly p99: number
  /** Subscriptions that were told of missed messages. */
  readonly gaps: number
}

/** Clients of this kit that subscribe to channels which their node does not hold yet, at a steady rate. */
export async function subscribeSteadily({
  ports,
  rate,
  seconds,
  isShared,
}: SteadySubscriptions): Promise<Subscribed> {
  const clients = await Promise.all(ports.map((port) => Client.connect(port)))
  const count = Math.round(rate * seconds)
  const times: number[] = []
  await Promise.all(
    clients.map(async (client, c) => {
      const begin = performance.now()
      const answers: Promise<void>[] = []
      for (let i = 0; i < count; i++) {
        // The clients subscribe at different times, as in a real cluster.
        const dueMs = ((i + c / clients.length) / rate) * 1000
        await sleep(Math.max(0, begin + dueMs - performance.now()))
        const asked = performance.now()
        const answer = client.subscribe(isShared ? `shared-${i}` : `own-${c}-${i}`)
        answers.push(answer.then(() => void times.push(performance.now() - asked)))
      }
      await Promise.all(answers)
    }),
  )
  const gaps = clients.reduce((sum, client) => sum + client.gaps, 0)
  for (const client of clients) client.close()
  return { subscriptions: times.length, ...percentiles(times), gaps }
}

/** Clients with names, each with its own channel, spread over all nodes. */
export class StormingClients {
  readonly #ports: readonly number[]
  readonly #clients: Client[] = []

  constructor(ports: readonly number[]) {
    this.#ports = ports
  }

  async open(count: number): Promise<void> {
    await eachOf(count, RECONNECTING_AT_ONCE, async (i) => {
      const client = await Client.connect(this.#portOf(i, 1), { __client: `client-${i}`, __generation: 1 })
      await client.subscribe(`storm-${i}`)
      this.#clients[i] = client
    })
  }

  /** Reconnects each client to the next node. */
  async reconnect(): Promise<Subscribed> {
    const times: number[] = []
    const old = [...this.#clients]
    for (const client of old) client.close()
    await eachOf(old.length, RECONNECTING_AT_ONCE, async (i) => {
      const begin = performance.now()
      const { node, position } = old[i]!
      const auth = {
        __client: `client-${i}`,
        __generation: 2,
        ...(node !== undefined && { __node: node }),
      }
      const client = await Client.connect(this.#portOf(i, 2), auth)
      await client.subscribe(`storm-${i}`, position)
      times.push(performance.now() - begin)
      this.#clients[i] = client
    })
    const gaps = this.#clients.reduce((sum, client) => sum + client.gaps, 0)
    return { subscriptions: times.length, ...percentiles(times), gaps }
  }

  close(): void {
    for (const client of this.#clients) client.close()
  }

  #portOf(i: number, generation: number): number {
    return this.#ports[(i + generation) % this.#ports.length]!
  }
}

class Client {
  gaps = 0
  /** What its node calls itself, where it says so. */
  node: string | undefined
  /** Of its newest subscription. */
  position: string | undefined
  readonly #socket: WebSocket
  readonly #waiting = new Map<string, { resolve(): void; reject(error: Error): void }>()

  static async connect(port: number, auth: object = {}): Promise<Client> {
    const client = new Client(port)
    await client.#answer('authOk', () => client.#send({ __type: 'auth', __v: 2, ...auth }))
    return client
  }

  private constructor(port: number) {
    this.#socket = new WebSocket(`ws://127.0.0.1:${port}/broadcast`, { perMessageDeflate: false })
    this.#socket.on('message', (data) => this.#heard(JSON.parse(String(data)) as Answer))
    this.#socket.on('error', (error) => this.#fail(error))
    this.#socket.on('close', (code) => this.#fail(new Error(`A connection was closed with ${code}`)))
  }

  subscribe(channel: string, position?: string): Promise<void> {
    return this.#answer(channel, () => this.#send({ __type: 'subscribe', channel, position }))
  }

  close(): void {
    this.#socket.terminate()
  }

  #answer(key: string, ask: () => void): Promise<void> {
    const answer = new Promise<void>((resolve, reject) => this.#waiting.set(key, { resolve, reject }))
    if (this.#socket.readyState === WebSocket.OPEN) ask()
    else this.#socket.once('open', ask)
    return answer
  }

  #send(message: object): void {
    this.#socket.send(JSON.stringify(message))
  }

  #heard(message: Answer & { readonly __node?: string; readonly recovered?: boolean }): void {
    const { __type: type, channel, position } = message
    if (type === 'authOk') this.node = message.__node
    else if (type === 'subscribeOk') this.position = position
    else if (type !== 'gap') return this.#fail(new Error(`Unexpected: ${JSON.stringify(message)}`))
    if (type === 'gap' || message.recovered === false) this.gaps += 1
    const key = type === 'authOk' ? type : channel!
    this.#waiting.get(key)?.resolve()
    this.#waiting.delete(key)
  }

  #fail(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }
}

function percentiles(times: readonly number[]): { p50: number; p99: number } {
  const sorted = times.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
  return { p50: at(0.5), p99: at(0.99) }
}
