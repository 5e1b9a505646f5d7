import { BroadcasterError } from '@broadcaster/server'
import { describe, expect, it } from 'vitest'
import { startRedis } from '../support/redis.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'

const status = async ({ url }: TestServer, path: string) => (await fetch(url + path)).status
const both = async (server: TestServer) => ({
  ready: await status(server, '/health'),
  live: await status(server, '/health/live'),
})

describe('both health checks', () => {
  it.each(['/health', '/health/live'])(
    '%s needs no authentication, is not cached, and has a HEAD',
    async (path) => {
      const server = tidy(
        await startServer({ canConnect: () => false, checkOrigin: ['https://app.example'] }),
      )
      const headers = { Origin: 'https://status.example' }
      const answer = await fetch(server.url + path, { headers })
      expect(answer.status).toBe(200)
      expect(answer.headers.get('cache-control')).toBe('no-store')
      expect(await answer.text()).toBe('{"status":"ok"}')
      const head = await fetch(server.url + path, { headers, method: 'HEAD' })
      expect(head.status).toBe(200)
      expect(head.headers.get('cache-control')).toBe('no-store')
    },
  )

  it('can pass before middleware of the application that demands a session', async () => {
    const before = (app: TestServer['app']) =>
      app.use('/broadcast', (req, res, next) =>
        req.path.startsWith('/health') ? next() : res.sendStatus(401),
      )
    const server = tidy(await startServer({}, { before }))
    expect(await both(server)).toEqual({ ready: 200, live: 200 })
    expect(await status(server, '')).toBe(401)
  })
})

describe('health/live', () => {
  it('is 200 while Redis is away and health is 503, because a restart would not help', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(await startServer({ redis: redis.url }))
    await redis.stop()
    await until('health to notice', async () => (await status(server, '/health')) === 503)
    expect(await both(server)).toEqual({ ready: 503, live: 200 })
    await redis.start()
    await until('health to recover', async () => (await status(server, '/health')) === 200)
  })

  it('is 200 if Redis refuses the password, because the node tries again by itself', async () => {
    const redis = tidy(await startRedis({ args: ['--requirepass', 'old'] }))
    const server = tidy(
      await startServer({ redis: `redis://:new@127.0.0.1:${redis.port}` }, { ready: false }),
    )
    await expect(server.broadcaster.ready()).rejects.toThrow(BroadcasterError)
    expect(await both(server)).toEqual({ ready: 503, live: 200 })
    await redis.cli('-a', 'old', 'CONFIG', 'SET', 'requirepass', 'new')
    await until('health to recover', async () => (await status(server, '/health')) === 200)
  })

  it('is 200 while the node drains, and 503 when it is closed', async () => {
    const held: (() => void)[] = []
    let isHolding = true
    const before = (app: TestServer['app']) =>
      app.use((_req, _res, next) => void (isHolding ? held.push(next) : next()))
    const server = tidy(await startServer({}, { before }))
    const [ready, live] = [status(server, '/health'), status(server, '/health/live')]
    await until('both requests', () => held.length === 2)
    const closing = server.broadcaster.close({ drain: 100 })
    for (const next of held) next()
    expect({ ready: await ready, live: await live }).toEqual({ ready: 503, live: 200 })
    isHolding = false
    await closing
    expect(await both(server)).toEqual({ ready: 503, live: 503 })
    const answer = await fetch(`${server.url}/health/live`)
    expect(await answer.json()).toEqual({
      status: 'unavailable',
      reason: 'The process has to be restarted',
    })
  })

  const nowhere = [{ host: '127.0.0.1', port: 1 }]
  it.each([
    { option: 'clusterRetryStrategy', redis: { cluster: nowhere, clusterRetryStrategy: () => null } },
    {
      option: 'sentinelRetryStrategy',
      redis: { sentinels: nowhere, name: 'main', sentinelRetryStrategy: () => null },
    },
  ])('is 503 if the $option of the application makes ioredis give up', async ({ redis }) => {
    const server = tidy(await startServer({ redis }, { ready: false }))
    await until('ioredis to give up', async () => (await status(server, '/health/live')) === 503)
    expect(await status(server, '/health')).toBe(503)
  })
})

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

  it('is 503 until Redis is available for the first time', async () => {
    const server = tidy(await startServer({ redis: 'redis://127.0.0.1:1' }, { ready: false }))
    expect(await both(server)).toEqual({ ready: 503, live: 200 })
  })
})
