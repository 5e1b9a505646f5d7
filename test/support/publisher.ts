import { Redis } from 'ioredis'
import type { Subject } from './subject.ts'

export type Publisher = { readonly publish: Subject['publish']; close(): void }

/** Publishes as any application would: with a Redis connection that knows nothing of broadcaster. */
export function publisherTo(redisUrl: string): Publisher {
  const redis = new Redis(redisUrl, { lazyConnect: true })
  // Tests that stop Redis see the failure of their own publish; the connection itself just comes back.
  redis.on('error', () => {})
  return { publish: (channel, body) => redis.publish(channel, body), close: () => redis.disconnect() }
}
