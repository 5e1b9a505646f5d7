import { Redis } from 'ioredis'

// Hot reload runs this module again, and must not open one more connection each time.
const redis = (globalThis.headlinesRedis ??= new Redis(process.env.REDIS_URL ?? 'redis://localhost:6379', {
  lazyConnect: true,
}))

export async function getHeadlines() {
  const headlines = await redis.lrange('headlines', 0, 9)
  return headlines.map((headline) => JSON.parse(headline)).reverse()
}

export async function addHeadline(form) {
  'use server'
  const headline = JSON.stringify({ id: crypto.randomUUID(), text: form.get('text') })
  await redis.lpush('headlines', headline)
  await redis.publish('news', headline)
}
