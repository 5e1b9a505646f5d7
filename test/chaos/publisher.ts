import { Cluster, Redis, type RedisOptions } from 'ioredis'
import type { TestRedisCluster } from '../support/redisCluster.ts'
import { sleep } from '../support/waiting.ts'
import type { Heads } from './clientsMain.ts'
import type { Random } from './random.ts'

const TICK_MS = 10

const atMostOnce: RedisOptions = {
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  retryStrategy: () => 100,
  sentinelRetryStrategy: () => 100,
}

/** A connection that never publishes a message twice. On a Cluster, it uses SPUBLISH. */
export type Connection = { publish(channel: string, body: string): Promise<unknown>; disconnect(): void }

export function connectionTo(redis: RedisOptions): Connection {
  const client = new Redis({ ...redis, ...atMostOnce, replyMapping: 'legacy' })
  client.on('error', () => {})
  return client
}

export function connectionToCluster({ nodes, natMap }: TestRedisCluster): Connection {
  const client = new Cluster([...nodes], {
    natMap,
    enableOfflineQueue: false,
    // With another value, ioredis sends a command again if the connection broke. There is no timeout for commands either:
    // ioredis may still send a command whose time is over.
    retryDelayOnFailover: 0,
    slotsRefreshInterval: 500,
  })
  client.on('error', () => {})
  const last = new Map<string, Promise<unknown>>()
  return {
    // One after the other in each channel: if a server redirects a command, ioredis sends it after later ones.
    publish: (channel, body) => {
      const before = last.get(channel) ?? Promise.resolve()
      const published = before.catch(() => {}).then(() => client.spublish(channel, body))
      last.set(channel, published)
      return published
    },
    disconnect: () => client.disconnect(),
  }
}

/**
 * Publishes with PUBLISH, like any application. A body contains its number in the channel and its time. No number is sent twice.
 * If Redis does not answer, it is unknown whether it has received the message.
 */
export class NumberedPublisher {
  readonly #redis: Connection
  readonly #channels: readonly string[]
  readonly #random: Random
  readonly #lastNumbers = new Map<string, number>()
  readonly #unsure = new Map<string, Set<number>>()
  #timer: NodeJS.Timeout | null = null
  #published = 0

  constructor(redis: Connection, channels: readonly string[], random: Random) {
    this.#redis = redis
    this.#channels = channels
    this.#random = random
    for (const channel of channels) this.#unsure.set(channel, new Set())
  }

  /** The number of messages that Redis has confirmed. */
  get published(): number {
    return this.#published
  }

  get unsure(): number {
    return [...this.#unsure.values()].reduce((sum, { size }) => sum + size, 0)
  }

  get lastNumbers(): Heads {
    return Object.fromEntries(this.#lastNumbers)
  }

  wasPublished(channel: string, number: number): boolean {
    return !this.#unsure.get(channel)!.has(number)
  }

  start(perSecond: number): void {
    const startedAt = performance.now()
    let sent = 0
    this.#timer = setInterval(() => {
      const due = ((performance.now() - startedAt) / 1000) * perSecond
      for (; sent < due; sent++) void this.publish(this.#random.pick(this.#channels))
    }, TICK_MS)
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
  }

  /** Returns the number, or `null` if it is unknown whether the message was published. */
  async publish(channel: string): Promise<number | null> {
    const number = (this.#lastNumbers.get(channel) ?? 0) + 1
    this.#lastNumbers.set(channel, number)
    try {
      await this.#redis.publish(channel, `${number} ${Date.now()}`)
      this.#published += 1
      return number
    } catch {
      this.#unsure.get(channel)!.add(number)
      return null
    }
  }

  /** Publishes a message in every channel, and repeats it until Redis confirms it. */
  async mark(): Promise<Heads> {
    const heads: Record<string, number> = {}
    for (const channel of this.#channels) {
      let number = await this.publish(channel)
      while (number === null) {
        await sleep(100)
        number = await this.publish(channel)
      }
      heads[channel] = number
    }
    return heads
  }

  close(): void {
    this.stop()
    this.#redis.disconnect()
  }
}
