import { Redis } from 'ioredis'

export type Publisher = {
  /** Resolves with the number of connections that received it. */
  publish(channel: string, body: string | Buffer): Promise<number>
  /** Publishes all of them in one transaction: no load of the machine comes between. */
  publishAtOnce(messages: readonly (readonly [channel: string, body: string | Buffer])[]): Promise<unknown>
  close(): void
}

/** Publishes as any application would: with a Redis connection that knows nothing of broadcaster. */
export function publisherTo(redisUrl: string): Publisher {
  const redis = new Redis(redisUrl, { lazyConnect: true })
  // Tests that stop Redis see the failure of their own publish; the connection itself just comes back.
  redis.on('error', () => {})
  return {
    publish: (channel, body) => redis.publish(channel, body),
    publishAtOnce: (messages) =>
      redis.multi(messages.map(([channel, body]) => ['publish', channel, body])).exec(),
    close: () => redis.disconnect(),
  }
}
