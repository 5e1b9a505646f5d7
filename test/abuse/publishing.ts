import { Redis } from 'ioredis'
import { HONEST_CHANNEL } from './honest.ts'
import { BUSY_CHANNEL, KEPT_CHANNELS, LARGE_CHANNEL } from './kinds.ts'

/** Publishes messages for the honest clients and for the abusers, and abuses as a publisher. */
export class Publishing {
  readonly #redis: Redis
  readonly #timers: NodeJS.Timeout[] = []
  #last = 0

  constructor(url: string) {
    this.#redis = new Redis(url)
  }

  /** The number of the last message for the honest clients. */
  get last(): number {
    return this.#last
  }

  startHonest(): void {
    this.#every(50, () => {
      const message = JSON.stringify({ n: ++this.#last, at: Date.now() })
      return this.#redis.publish(HONEST_CHANNEL, message)
    })
  }

  /** Publishes 640 KB a second on the channel of the slow readers, and bodies of 2 MiB, which are over the limit. */
  startAbuse(): void {
    const body = 'b'.repeat(64_000)
    this.#every(100, () => this.#redis.publish(BUSY_CHANNEL, body))
    this.#every(2000, () => this.#redis.publish(LARGE_CHANNEL, 'l'.repeat(2 * 1024 * 1024)))
    let kept = 0
    this.#every(20, () =>
      this.#redis.publish(KEPT_CHANNELS[kept++ % KEPT_CHANNELS.length]!, 'k'.repeat(20_000)),
    )
  }

  stopHonest(): void {
    clearInterval(this.#timers[0])
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer)
    this.#redis.disconnect()
  }

  #every(ms: number, act: () => Promise<unknown>): void {
    this.#timers.push(setInterval(() => void act().catch(() => {}), ms))
  }
}
