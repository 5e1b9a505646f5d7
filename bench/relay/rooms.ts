import type { Redis } from 'ioredis'

/**
 * The bookkeeping of every hand-written relay: the members of each channel, and a Redis subscription while a channel has
 * members.
 */
export class Rooms<T> {
  readonly #redis: Redis
  readonly #members = new Map<string, Set<T>>()
  readonly #subscribed = new Map<string, Promise<unknown>>()

  constructor(redis: Redis) {
    this.#redis = redis
  }

  /** Resolves when Redis has confirmed the subscription. */
  async join(channel: string, member: T): Promise<void> {
    let members = this.#members.get(channel)
    if (members === undefined) {
      this.#members.set(channel, (members = new Set()))
      this.#subscribed.set(channel, this.#redis.subscribe(channel))
    }
    members.add(member)
    await this.#subscribed.get(channel)
  }

  leave(channel: string, member: T): void {
    const members = this.#members.get(channel)
    members?.delete(member)
    if (members?.size !== 0) return
    this.#members.delete(channel)
    this.#subscribed.delete(channel)
    void this.#redis.unsubscribe(channel)
  }

  members(channel: string): Iterable<T> {
    return this.#members.get(channel) ?? []
  }
}

/** The channel that a client of the hand-written relays asks for: `/?channel=news`. */
export function channelOf(url: string): string {
  return new URL(url, 'http://localhost').searchParams.get('channel') ?? ''
}

/** The message of the hand-written relays: that of this kit, without its position. */
export function messageText(channel: string, body: string): string {
  return JSON.stringify({ __type: 'message', body, channel })
}
