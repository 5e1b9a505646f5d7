import { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { signIn } from '../support/connect.ts'
import { channelName } from '../support/names.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { sleep, until } from '../support/waiting.ts'

const health = async (server: TestServer) => (await fetch(`${server.url}/health`)).status
const isHealthy = (server: TestServer) => until('health 200', async () => (await health(server)) === 200)
const isUnhealthy = (server: TestServer) => until('health 503', async () => (await health(server)) === 503)

const killAll = async (redis: TestRedis, ...password: string[]) => {
  for (const type of ['normal', 'pubsub']) await redis.cli(...password, 'CLIENT', 'KILL', 'TYPE', type)
}

/** Checks that the error of Redis is logged once, and that the server works again after `mend`. */
async function expectToldOnce(server: TestServer, what: RegExp, mend: () => Promise<unknown>): Promise<void> {
  await server.logs.waitFor(what)
  await isUnhealthy(server)
  // This is long enough for many attempts.
  await sleep(1500)
  const told = server.logs.loud(what)
  expect(told, 'once, and not at every attempt of every connection').toHaveLength(1)
  expect(told[0]).toContain('Redis refuses the connection')
  expect(server.logs.loud('Redis is away')).toHaveLength(1)
  await mend()
  await isHealthy(server)
  expect(server.logs.loud('Redis is back')).toHaveLength(1)
  expect(await (await signIn(server, { transport: 'longpoll' })).subscribe(channelName())).toMatchObject({
    __type: 'subscribeOk',
  })
}

describe('a Redis that starts to refuse a running node', () => {
  it('because the password was changed is logged with this reason', async () => {
    const redis = tidy(await startRedis({ args: ['--requirepass', 'old'] }))
    const server = tidy(await startServer({ redis: `redis://:old@127.0.0.1:${redis.port}` }))
    await redis.cli('-a', 'old', 'CONFIG', 'SET', 'requirepass', 'new')
    await killAll(redis, '-a', 'new')
    await expectToldOnce(server, /WRONGPASS/, () =>
      redis.cli('-a', 'new', 'CONFIG', 'SET', 'requirepass', 'old'),
    )
  })

  it('because the user was deleted is logged with this reason', async () => {
    const redis = tidy(await startRedis())
    const grant = () => redis.cli('ACL', 'SETUSER', 'live', 'on', '>hush', '+@all', '~*', '&*')
    await grant()
    const server = tidy(await startServer({ redis: `redis://live:hush@127.0.0.1:${redis.port}` }))
    await redis.cli('ACL', 'DELUSER', 'live')
    await expectToldOnce(server, /WRONGPASS/, grant)
  })

  it('because it has too many clients is logged with this reason', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(await startServer({ redis: redis.url }))
    const admin = new Redis(redis.port)
    tidy({ close: () => admin.disconnect() })
    await admin.config('SET', 'maxclients', '1')
    for (const type of ['PUBSUB', 'NORMAL'] as const) await admin.call('CLIENT', 'KILL', 'TYPE', type)
    await expectToldOnce(server, /max number of clients/, () => admin.config('SET', 'maxclients', '100'))
  })

  it('because the database does not exist any more is logged, and nothing is written to another database', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(await startServer({ redis: `${redis.url}/9` }))
    await redis.stop()
    await isUnhealthy(server)
    const small = await startRedis({ port: redis.port, args: ['--databases', '4'] })
    await expectToldOnce(server, /DB index/, async () => {
      expect(await small.cli('DBSIZE')).toBe('0')
      await small.stop()
      await redis.start()
    })
  })
})
