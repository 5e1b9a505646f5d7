import { Cluster } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { waitingPoll } from '../support/barriers.ts'
import { LongPollPeer } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startNodeProcess } from '../support/nodeProcess.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { startServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { until, within } from '../support/waiting.ts'

const HOUR = 3_600_000

const now = async (redis: TestRedis) => Number((await redis.cli('TIME')).split('\n')[0]) * 1000

describe('disconnect() and unsubscribe()', () => {
  it('apply to a session that sends only subscribe', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(await startServer({ redis: redis.url, timeout: 3000 }))
    const alice = new LongPollPeer(server)
    await alice.auth({ __v: 1 })
    const channel = channelName()
    const { position } = await alice.subscribe(channel)
    const [, firstExpiry] = (await redis.cli('ZRANGE', 'bc:sessions', '0', '-1', 'WITHSCORES')).split('\n')
    await until('the first life of the session to be over', async () => {
      await alice.subscribe(channel, { position })
      return (await now(redis)) > Number(firstExpiry)
    })
    await server.broadcaster.unsubscribe('everyone', channel)
    const told = await alice.poll()
    expect(told.messages).toMatchObject([{ __type: 'unsubscribed', channel }])
    await server.broadcaster.disconnect('everyone')
    expect((await alice.post({ __type: 'subscribe', channel })).status).toBe(401)
  })

  it.each([
    ['behind', -HOUR],
    ['ahead', HOUR],
  ])('mean a session of a node whose clock is an hour %s', async (_, clockMs) => {
    const redis = tidy(await startRedis())
    const server = tidy(await startServer({ redis: redis.url }))
    const other = await startNodeProcess({ redis: redis.url, clockMs })
    tidy({ stop: () => other.stop() })
    const alice = new LongPollPeer(other)
    await alice.auth()
    await alice.subscribe(channelName())
    expect((await server.broadcaster.stats()).connections).toBe(1)
    const poll = await waitingPoll(alice)
    expect((await server.broadcaster.stats()).connections, 'while it polls').toBe(1)
    await server.broadcaster.disconnect('everyone')
    await within(poll.answer, 'the poll to be ended')
    expect((await alice.poll()).status).toBe(401)
    expect((await server.broadcaster.stats()).connections).toBe(0)
  })

  it('apply to a session of this node, also if another node with another clock has stored that it has expired', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(await startServer({ redis: redis.url }))
    const alice = new LongPollPeer(server)
    await alice.auth()
    const id = await redis.cli('ZRANGE', 'bc:sessions', '0', '0')
    await redis.cli('ZADD', 'bc:sessions', String((await now(redis)) - 1000), id)
    await server.broadcaster.disconnect('everyone')
    expect((await alice.poll()).status).toBe(401)
  })
})

describe('the set of sessions in Redis', () => {
  it('is trimmed when it is written, also if stats() is never called', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(await startServer({ redis: redis.url }))
    // Entries of expired sessions, as an older version left them.
    const old = Array.from({ length: 250 }, (_, i) => [String(i), `gone${i}`]).flat()
    await redis.cli('ZADD', 'bc:sessions', ...old)
    const alice = new LongPollPeer(server)
    await alice.auth()
    expect(Number(await redis.cli('ZCARD', 'bc:sessions')), 'a little at a time').toBe(151)
    await alice.subscribe(channelName())
    await until('all expired entries to be removed', async () => {
      await alice.subscribe(channelName())
      return (await redis.cli('ZCARD', 'bc:sessions')) === '1'
    })
    expect((await server.broadcaster.stats()).connections).toBe(1)
  })
})

describe('on a Redis Cluster', () => {
  it('sessions are created, counted, extended and ended, and no script needs keys of two servers', async () => {
    const redis = tidy(
      await startRedis({ args: ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'] }),
    )
    await redis.cli('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
    await until('the cluster', async () => (await redis.cli('CLUSTER', 'INFO')).includes('cluster_state:ok'))
    const cluster = new Cluster([{ host: '127.0.0.1', port: redis.port }], { lazyConnect: true })
    tidy({ close: () => cluster.disconnect() })
    const server = tidy(await startServer({ redis: cluster }))
    const alice = new LongPollPeer(server)
    await alice.auth()
    await alice.subscribe(channelName())
    const poll = await waitingPoll(alice)
    expect((await server.broadcaster.stats()).connections).toBe(1)
    await server.broadcaster.disconnect('everyone')
    await within(poll.answer, 'the poll to be ended')
    expect((await alice.poll()).status).toBe(401)
    expect((await server.broadcaster.stats()).connections).toBe(0)
  })
})
