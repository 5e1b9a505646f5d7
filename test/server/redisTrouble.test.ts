import { mkdir, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { connect, signIn } from '../support/connect.ts'
import { LongPollPeer, post } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { startNodes, startServer, type TestServer } from '../support/server.ts'
import { transports } from '../support/subject.ts'
import { tcpProxy } from '../support/tcpProxy.ts'
import { tidy } from '../support/tidy.ts'
import { until, within } from '../support/waiting.ts'

type Trouble = {
  readonly code: string
  readonly begin: (redis: TestRedis) => Promise<unknown>
  readonly end: (redis: TestRedis) => Promise<unknown>
  /** Whether Redis still accepts PUBLISH. */
  readonly publishes: boolean
  /** Whether Redis refuses reads too, not only writes. */
  readonly refusesReads?: boolean
  readonly args?: readonly string[]
}

const dumpOf = async (redis: TestRedis) => {
  const [, dir] = (await redis.cli('CONFIG', 'GET', 'dir')).split('\n')
  return join(dir!, 'dump.rdb')
}
const saved = (redis: TestRedis, status: string) =>
  until(`the last save to be ${status}`, async () =>
    (await redis.cli('INFO', 'persistence')).includes(`rdb_last_bgsave_status:${status}`),
  )

const troubles: Trouble[] = [
  {
    code: 'OOM',
    publishes: true,
    begin: (redis) => redis.cli('CONFIG', 'SET', 'maxmemory', '1'),
    end: (redis) => redis.cli('CONFIG', 'SET', 'maxmemory', '0'),
  },
  {
    code: 'MISCONF',
    publishes: true,
    begin: async (redis) => {
      await redis.cli('CONFIG', 'SET', 'save', '3600 1')
      // A directory with the name of the dump file makes saving fail.
      await mkdir(await dumpOf(redis))
      await redis.cli('BGSAVE')
      await saved(redis, 'err')
    },
    end: async (redis) => {
      await rmdir(await dumpOf(redis))
      await redis.cli('BGSAVE')
      await saved(redis, 'ok')
    },
  },
  {
    code: 'READONLY',
    publishes: true,
    begin: (redis) => redis.cli('REPLICAOF', '127.0.0.1', '1'),
    end: (redis) => redis.cli('REPLICAOF', 'NO', 'ONE'),
  },
  {
    code: 'MASTERDOWN',
    publishes: true,
    refusesReads: true,
    args: ['--replica-serve-stale-data', 'no'],
    begin: (redis) => redis.cli('REPLICAOF', '127.0.0.1', '1'),
    end: (redis) => redis.cli('REPLICAOF', 'NO', 'ONE'),
  },
  {
    code: 'NOREPLICAS',
    publishes: true,
    begin: (redis) => redis.cli('CONFIG', 'SET', 'min-replicas-to-write', '1'),
    end: (redis) => redis.cli('CONFIG', 'SET', 'min-replicas-to-write', '0'),
  },
  {
    code: 'BUSY',
    publishes: false,
    refusesReads: true,
    args: ['--busy-reply-threshold', '50'],
    begin: async (redis) => {
      redis.cli('EVAL', 'while true do end', '0').catch(() => {})
    },
    end: (redis) => redis.cli('SCRIPT', 'KILL'),
  },
]

const health = async (server: TestServer) => {
  const answer = await fetch(`${server.url}/health`)
  expect(answer.headers.get('cache-control')).toBe('no-store')
  return { status: answer.status, body: await answer.json() }
}
const isHealthy = (server: TestServer) =>
  until('health 200', async () => (await health(server)).status === 200)
const isUnhealthy = (server: TestServer) =>
  until('health 503', async () => (await health(server)).status === 503)

describe.each(troubles)(
  'a Redis that answers $code',
  ({ code, args, begin, end, publishes, refusesReads }) => {
    it('stats() counts if Redis refuses only writes, and rejects with our own error otherwise', async () => {
      const redis = tidy(await startRedis(args === undefined ? {} : { args }))
      const server = tidy(await startServer({ redis: redis.url }))
      await signIn(server, { transport: 'websocket' })
      await signIn(server, { transport: 'longpoll' })
      // A node whose report has not expired, and one that is gone. A node without a report is removed.
      await redis.cli('SET', 'bc:connections:other', '5')
      await redis.cli('SADD', 'bc:nodes', 'other', 'gone')
      await begin(redis)
      await isUnhealthy(server)
      const stats = server.broadcaster.stats()
      if (refusesReads) {
        await expect(stats).rejects.toMatchObject({ name: 'BroadcasterError', code: 'brokerRefused' })
      } else {
        expect((await stats).connections).toBe(7)
      }
      await end(redis)
      await isHealthy(server)
      expect((await server.broadcaster.stats()).connections).toBe(7)
    })

    it('S1: makes health fail and is logged once, live channels continue, and everything works when it is over', async () => {
      const redis = tidy(await startRedis(args === undefined ? {} : { args }))
      const cluster = tidy(await startNodes(2, { redis: redis.url }))
      const [server, other] = cluster.nodes as [TestServer, TestServer]
      const channel = channelName()
      const alice = await signIn(server, { transport: 'websocket', auth: { __v: 1 } })
      await alice.subscribe(channel)
      const session = new LongPollPeer(server)
      await session.auth()
      await session.subscribe(channel)

      await begin(redis)
      for (const node of cluster.nodes) await isUnhealthy(node)
      // A replica without its master refuses some commands with MASTERDOWN and others with READONLY.
      const reasons = code === 'MASTERDOWN' ? [code, 'READONLY'] : [code]
      expect(await health(server)).toEqual({
        status: 503,
        body: {
          status: 'unavailable',
          reason: expect.toBeOneOf(reasons.map((each) => `Redis says ${each}`)),
        },
      })
      for (let i = 0; i < 3; i++) {
        const wanted = channelName()
        expect(await alice.subscribe(wanted)).toMatchObject({ __type: 'serverError', channel: wanted })
      }
      const bob = await connect(other, { transport: 'websocket' })
      expect(await bob.auth(), 'a WebSocket needs no session').toMatchObject({ __type: 'authOk' })
      const answers = await Promise.all([post(server.url, { __type: 'auth' }), session.poll()])
      for (const { status, messages } of answers) {
        expect(status).toBe(503)
        expect(messages).toMatchObject([{ __type: 'serverError' }])
      }
      if (publishes) {
        for (const body of ['1', '2']) await redis.cli('PUBLISH', channel, body)
        expect(await alice.bodies(channel, 2), 'live channels continue').toEqual(['1', '2'])
      }

      await end(redis)
      for (const node of cluster.nodes) await isHealthy(node)
      expect(await health(server)).toEqual({ status: 200, body: { status: 'ok' } })
      await redis.cli('PUBLISH', channel, '3')
      expect(await alice.next(), 'no message was missed, and there is no gap').toMatchObject({
        channel,
        body: '3',
      })
      for (const transport of transports) {
        const carol = await signIn(other, { transport })
        const fresh = channelName()
        await carol.subscribe(fresh)
        await redis.cli('PUBLISH', fresh, 'hello')
        expect(await carol.next()).toMatchObject({ channel: fresh, body: 'hello' })
      }
      for (const { logs } of cluster.nodes) {
        const [first, ...rest] = logs.loud()
        expect(first).toMatch(new RegExp(reasons.join('|')))
        expect(rest.filter((line) => line.includes('Redis can do everything again'))).toHaveLength(1)
        expect(rest.length).toBeLessThanOrEqual(code === 'MASTERDOWN' ? 2 : 1)
      }
    })
  },
)

describe('a Redis that refuses writes', () => {
  it('at the start keeps ready() waiting, and everything works when it accepts writes', async () => {
    const redis = tidy(await startRedis({ args: ['--min-replicas-to-write', '1'] }))
    const server = tidy(await startServer({ redis: redis.url }, { ready: false }))
    let isReady = false
    const ready = server.broadcaster.ready().then(() => (isReady = true))
    await server.logs.waitFor(/NOREPLICAS/)
    expect(isReady).toBe(false)
    await redis.cli('CONFIG', 'SET', 'min-replicas-to-write', '0')
    await within(ready, 'ready()')
    await isHealthy(server)
  })

  it('affects only sessions if another Redis has the messages', async () => {
    const [data, pubSub] = [tidy(await startRedis()), tidy(await startRedis())]
    const server = tidy(await startServer({ redis: data.url, pubSub: pubSub.url }))
    const alice = await signIn(server, { transport: 'websocket' })
    await data.cli('CONFIG', 'SET', 'maxmemory', '1')
    await isUnhealthy(server)
    const channel = channelName()
    expect(await alice.subscribe(channel)).toEqual({ __type: 'subscribeOk', channel })
    await data.cli('CONFIG', 'SET', 'maxmemory', '0')
    await isHealthy(server)
    await pubSub.cli('CONFIG', 'SET', 'maxmemory', '1')
    await isUnhealthy(server)
    const session = await signIn(server, { transport: 'longpoll' })
    const other = channelName()
    expect(await session.subscribe(channel)).toMatchObject({ __type: 'subscribeOk' })
    expect(await session.subscribe(other)).toMatchObject({ __type: 'serverError' })
    await pubSub.cli('CONFIG', 'SET', 'maxmemory', '0')
    await isHealthy(server)
    expect(await session.subscribe(other)).toMatchObject({ __type: 'subscribeOk' })
  })
})

describe('a master that is demoted while our connections stay open', () => {
  it('makes all connections, also that of the subscriptions, reconnect to the new master under the same name', async () => {
    const [old, young] = [tidy(await startRedis()), tidy(await startRedis())]
    const name = tidy(await tcpProxy(old.port))
    const server = tidy(await startServer({ redis: `redis://${name.address}` }))
    const channel = channelName()
    const alice = await signIn(server, { transport: 'websocket', auth: { __v: 1 } })
    await alice.subscribe(channel)
    // As in a failover of a hosted service, connections stay open, and the name resolves to another server from now on.
    name.retarget(young.port)
    await old.cli('REPLICAOF', '127.0.0.1', '1')
    expect(await alice.next()).toMatchObject({ __type: 'gap', channel, reason: 'broker' })
    await isHealthy(server)
    await young.cli('PUBLISH', channel, 'from the new master')
    expect(await alice.next()).toMatchObject({ channel, body: 'from the new master' })
    expect(await old.cli('PUBSUB', 'NUMSUB', channel)).toBe(`${channel}\n0`)
  })
})

describe('a Redis that is loading its data', () => {
  it('is like one that refuses writes, and no client loses its connection', async () => {
    const args = ['--enable-debug-command', 'yes', '--loading-process-events-interval-bytes', '1024']
    const redis = tidy(await startRedis({ args }))
    const server = tidy(await startServer({ redis: redis.url }))
    const channel = channelName()
    const alice = await signIn(server, { transport: 'websocket', auth: { __v: 1 } })
    await alice.subscribe(channel)
    await redis.cli('DEBUG', 'POPULATE', '3000', 'filler', '500')
    await redis.cli('CONFIG', 'SET', 'key-load-delay', '1000')
    const reloaded = redis.cli('DEBUG', 'RELOAD')
    await isUnhealthy(server)
    expect(await health(server)).toMatchObject({ body: { reason: 'Redis says LOADING' } })
    expect((await post(server.url, { __type: 'auth' })).status).toBe(503)
    await redis.cli('PUBLISH', channel, 'meanwhile')
    expect(await alice.next()).toMatchObject({ body: 'meanwhile' })
    await reloaded
    await isHealthy(server)
    expect(await alice.subscribe(channelName())).toMatchObject({ __type: 'subscribeOk' })
  })
})
