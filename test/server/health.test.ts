import { describe, expect, it } from 'vitest'
import { startRedis } from '../support/redis.ts'
import { startServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'

describe('health', () => {
  it('is 200 below the mount path while the broker is connected', async () => {
    const redis = tidy(await startRedis())
    for (const options of [{ redis: redis.url }, { redis: false as const }]) {
      const server = tidy(await startServer(options, { path: '/api/live' }))
      for (const method of ['GET', 'HEAD']) {
        const answer = await fetch(`${server.url}/health`, { method })
        expect(answer.status).toBe(200)
        expect(answer.headers.get('cache-control')).toMatch(/no-store|no-cache/)
      }
    }
  })

  it('accepts every origin, because load balancers and monitors have none of ours', async () => {
    const server = tidy(await startServer({ checkOrigin: ['https://app.example'] }))
    const answer = await fetch(`${server.url}/health`, { headers: { Origin: 'https://status.example' } })
    expect(answer.status).toBe(200)
  })

  it('is 503 while Redis is unavailable, and 200 afterwards', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(await startServer({ redis: redis.url }))
    const status = async () => (await fetch(`${server.url}/health`)).status
    await redis.stop()
    await until('health to notice', async () => (await status()) === 503)
    await redis.start()
    await until('health to recover', async () => (await status()) === 200)
  })

  it('is 503 until Redis is available for the first time', async () => {
    const server = tidy(await startServer({ redis: 'redis://127.0.0.1:1' }, { ready: false }))
    expect((await fetch(`${server.url}/health`)).status).toBe(503)
  })
})
