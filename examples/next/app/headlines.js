import { Redis } from 'ioredis'

/** What all modules of the process share. Hot reload runs this module again, and must not open one more connection each time. */
const shared = (globalThis.headlines ??= process.env.REDIS_URL ? inRedis() : inMemory())

export function getHeadlines() {
  return shared.get()
}

export async function addHeadline(form) {
  'use server'
  await shared.add({ id: crypto.randomUUID(), text: form.get('text') })
}

/** Every process publishes to every page: a plain PUBLISH is all it takes. */
function inRedis() {
  const redis = new Redis(process.env.REDIS_URL, { lazyConnect: true })
  return {
    async get() {
      const headlines = await redis.lrange('headlines', 0, 9)
      return headlines.map((headline) => JSON.parse(headline)).reverse()
    },
    async add(headline) {
      await redis.lpush('headlines', JSON.stringify(headline))
      await redis.publish('news', JSON.stringify(headline))
    },
  }
}

/** For a first try without Redis, in one process. */
function inMemory() {
  const headlines = []
  return {
    get: () => headlines.slice(-10),
    async add(headline) {
      headlines.push(headline)
      await globalThis.live.publish('news', headline)
    },
  }
}
