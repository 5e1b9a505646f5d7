import { Redis } from 'ioredis'

export type Publisher = {
  /** Resolves with the number of connections that received it. */
  publish(channel: string, body: string | Buffer): Promise<number>
  /** Publishes all messages in one transaction, so a loaded machine causes no pause between them. */
  publishAtOnce(messages: readonly (readonly [channel: string, body: string | Buffer])[]): Promise<unknown>
  close(): void
}

/** Publishes like any application, with a Redis connection that has nothing to do with broadcaster. */
export function publisherTo(redisUrl: string): Publisher {
  const redis = new Redis(redisUrl, { lazyConnect: true })
  // In tests that stop Redis, the publish fails. The connection itself reconnects.
  redis.on('error', () => {})
  return {
    publish: (channel, body) => redis.publish(channel, body),
    publishAtOnce: (messages) =>
      redis.multi(messages.map(([channel, body]) => ['publish', channel, body])).exec(),
    close: () => redis.disconnect(),
  }
}
