import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis, type RedisOptions } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import { describe, expect, it } from 'vitest'
import { startRedis } from '../support/redis.ts'
import { startServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { within } from '../support/waiting.ts'
import { startOneServerCluster } from './oneServerCluster.ts'
import { worksOnTwoNodes } from './worksOnTwoNodes.ts'

const ioredis = [
  ['6', Redis],
  ['5', Redis5 as unknown as typeof Redis],
] as const

describe('works, with recovery on another node:', () => {
  it('a unix socket, as a path, as a URL and in options', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'broadcaster-socket-'))
    tidy({ close: () => rm(dir, { recursive: true, force: true }) })
    const path = join(dir, 'redis.sock')
    tidy(await startRedis({ args: ['--unixsocket', path] }))
    for (const target of [path, `unix://${path}`, { path, db: 3 }]) await worksOnTwoNodes(target)
  })

  it.each([2, 3] as const)('RESP%d', async (protocol) => {
    const redis = tidy(await startRedis())
    await worksOnTwoNodes({ port: redis.port, protocol } as RedisOptions)
  })

  it.each(ioredis)('ioredis %s with settings of its own', async (_, Instance) => {
    const redis = tidy(await startRedis())
    const mine = new Instance({
      port: redis.port,
      keyPrefix: 'mine:',
      connectionName: 'app',
      stringNumbers: true,
    })
    tidy({ close: () => mine.disconnect() })
    await worksOnTwoNodes(mine)
  })

  it('an instance whose commands are wrapped, as tools for tracing do', async () => {
    const redis = tidy(await startRedis())
    const seen = new Set<string>()
    const { sendCommand, connect } = Redis.prototype
    // All clients of the process get the wrapper, also those of the broadcaster.
    Redis.prototype.sendCommand = function (this: Redis, command, ...rest) {
      seen.add(command.name)
      const reply = sendCommand.call(this, command, ...rest)
      void Promise.resolve(reply).then(
        () => seen.add('replied'),
        () => seen.add('failed'),
      )
      return reply
    }
    Redis.prototype.connect = async function (this: Redis, ...args) {
      return connect.apply(this, args)
    }
    tidy({ close: () => Object.assign(Redis.prototype, { sendCommand, connect }) })
    await worksOnTwoNodes(redis.url)
    expect([...seen]).toEqual(expect.arrayContaining(['subscribe', 'publish', 'evalsha', 'replied']))
  })

  it('an instance behind a Proxy object', async () => {
    const redis = tidy(await startRedis())
    const mine = new Redis(redis.url)
    tidy({ close: () => mine.disconnect() })
    const wrap = (client: Redis): Redis =>
      new Proxy(client, {
        get: (target, name) => {
          const value = Reflect.get(target, name, target) as unknown
          if (typeof value !== 'function') return value
          if (name === 'duplicate') return (options?: RedisOptions) => wrap(target.duplicate(options))
          return value.bind(target) as unknown
        },
      })
    await worksOnTwoNodes(wrap(mine))
  })

  it('a Redis with keyspace notifications', async () => {
    const redis = tidy(await startRedis({ args: ['--notify-keyspace-events', 'KEA'] }))
    await worksOnTwoNodes(redis.url)
  })

  it('a Redis Cluster of one server, as a Cluster too', async () => {
    const redis = tidy(await startOneServerCluster())
    await worksOnTwoNodes({ cluster: [{ host: '127.0.0.1', port: redis.port }] })
  })
})

it('publish() on a Redis Cluster is one command', async () => {
  const redis = tidy(await startOneServerCluster())
  const server = tidy(await startServer({ redis: { cluster: [{ host: '127.0.0.1', port: redis.port }] } }))
  const commands = async () => {
    const stats = await redis.cli('INFO', 'commandstats')
    const calls = stats.matchAll(/^cmdstat_(?:spublish|eval|evalsha):calls=(\d+)/gm)
    return [...calls].reduce((sum, [, count]) => sum + Number(count), 0)
  }
  const before = await commands()
  for (let i = 0; i < 100; i++) await server.broadcaster.publish('news', String(i))
  // The node also makes beacons and checks from time to time.
  expect((await commands()) - before).toBeLessThan(150)
})

it('a replica makes ready() wait, with the reason in the log', async () => {
  const master = tidy(await startRedis())
  const replica = tidy(await startRedis())
  await replica.cli('REPLICAOF', '127.0.0.1', String(master.port))
  const server = tidy(await startServer({ redis: replica.url }, { ready: false }))
  await server.logs.waitFor(/READONLY/)
  await replica.cli('REPLICAOF', 'NO', 'ONE')
  await within(server.broadcaster.ready(), 'ready()')
})
