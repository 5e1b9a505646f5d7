import { Cluster } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { waitingPoll } from '../support/barriers.ts'
import { signIn } from '../support/connect.ts'
import { LongPollPeer } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startNodeProcess } from '../support/nodeProcess.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { freePort } from '../support/redisServer.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'
import { WebSocketPeer } from '../support/webSocketPeer.ts'

const counted = (server: TestServer, connections: number) =>
  until(
    `${connections} connections`,
    async () => (await server.broadcaster.stats()).connections === connections,
  )

const subjects: [name: string, start: (redis: TestRedis) => Promise<TestServer>][] = [
  ['in process', () => startServer({ redis: false, timeout: 1000 })],
  ['on Redis', (redis) => startServer({ redis: redis.url, timeout: 1000 })],
]

describe.each(subjects)('stats %s', (_, start) => {
  it('count connections while they last, however they end', async () => {
    const server = tidy(await start(tidy(await startRedis())))
    await counted(server, 0)
    const alice = (await signIn(server, { transport: 'websocket' })) as WebSocketPeer
    const bob = (await signIn(server, { transport: 'websocket' })) as WebSocketPeer
    await counted(server, 2)
    await alice.close()
    await counted(server, 1)
    await bob.drop()
    await counted(server, 0)
  })

  it('do not count clients that were refused or have not authenticated', async () => {
    const server = tidy(await start(tidy(await startRedis())))
    const silent = await WebSocketPeer.connect(server)
    const refused = await WebSocketPeer.connect(server)
    await refused.send('nonsense')
    await refused.closed
    await counted(server, 0)
    await silent.close()
  })

  it('no longer count long-poll sessions that have expired', async () => {
    const server = tidy(await start(tidy(await startRedis())))
    for (let i = 1; i <= 3; i++) {
      await signIn(server, { transport: 'longpoll' })
      await counted(server, i)
    }
    await counted(server, 0)
  })

  it('contain the channels with subscribers on this node, with the number of clients, not of polls', async () => {
    const server = tidy(await start(tidy(await startRedis())))
    const [first, second] = [channelName(), channelName()]
    const alice = await signIn(server, { transport: 'websocket' })
    await alice.subscribe(first)
    await alice.subscribe(second)
    await alice.subscribe(second)
    const bob = new LongPollPeer(server)
    await bob.auth()
    await bob.subscribe(second)
    await waitingPoll(bob)
    await waitingPoll(bob)
    expect((await server.broadcaster.stats()).localSubscriptions).toEqual({ [first]: 1, [second]: 2 })
    await alice.unsubscribe(first)
    expect((await server.broadcaster.stats()).localSubscriptions).toMatchObject({ [second]: 2 })
    expect(Object.keys((await server.broadcaster.stats()).localSubscriptions)).not.toContain(first)
  })
})

describe('stats of several nodes', () => {
  it('are summed', async () => {
    const redis = tidy(await startRedis())
    const nodes = [
      tidy(await startServer({ redis: redis.url })),
      tidy(await startServer({ redis: redis.url })),
    ]
    for (const node of nodes) await signIn(node, { transport: 'websocket' })
    await signIn(nodes[0]!, { transport: 'longpoll' })
    for (const node of nodes) await counted(node, 3)
  })

  it('do not count the connections of a killed node', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(await startServer({ redis: redis.url }))
    const doomed = tidy(await startNodeProcess({ redis: redis.url }))
    await signIn(doomed, { transport: 'websocket' })
    await signIn(doomed, { transport: 'websocket' })
    const alice = (await signIn(server, { transport: 'websocket' })) as WebSocketPeer
    await counted(server, 3)
    const listed = async () => Number(await redis.cli('SCARD', 'bc:nodes'))
    expect(await listed()).toBe(2)
    await doomed.stop('SIGKILL')
    await counted(server, 1)
    expect(await listed(), 'stats() only reads').toBe(2)
    tidy(await startServer({ redis: redis.url }))
    await until('a node that starts to remove those that are gone', async () => (await listed()) === 2)
    expect(await redis.cli('SISMEMBER', 'bc:nodes', (await server.broadcaster.stats()).node.id)).toBe('1')
    await alice.close()
    await counted(server, 0)
  })

  it('are correct again after Redis has lost its data', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(await startServer({ redis: redis.url, recovery: false }))
    const alice = (await signIn(server, { transport: 'websocket' })) as WebSocketPeer
    const bob = (await signIn(server, { transport: 'websocket' })) as WebSocketPeer
    await redis.cli('FLUSHALL')
    await counted(server, 2)
    await alice.close()
    await bob.close()
    await counted(server, 0)
  })
})

describe('stats() of a server that cannot ask Redis', () => {
  const unavailable = { name: 'BroadcasterError', code: 'brokerUnavailable' }
  const notReady = async (redis: string) => {
    const server = tidy(await startServer({ redis }, { ready: false }))
    // The test does not wait for it.
    server.broadcaster.ready().catch(() => {})
    return server
  }

  it('rejects with our own error before it is ready: nothing listens', async () => {
    const server = await notReady(`redis://127.0.0.1:${await freePort()}`)
    await expect(server.broadcaster.stats()).rejects.toMatchObject(unavailable)
  })

  it('rejects with our own error before it is ready: nothing answers', async () => {
    const redis = tidy(await startRedis())
    redis.pause()
    const server = await notReady(redis.url)
    await expect(server.broadcaster.stats()).rejects.toMatchObject(unavailable)
  })

  it('rejects with our own error before it is ready: the password is wrong', async () => {
    const redis = tidy(await startRedis({ args: ['--requirepass', 'right'] }))
    const server = await notReady(`redis://:wrong@127.0.0.1:${redis.port}`)
    await expect(server.broadcaster.stats()).rejects.toMatchObject(unavailable)
  })

  it('rejects with our own error before it is ready: a Cluster without nodes', async () => {
    const options = { lazyConnect: true, redisOptions: { lazyConnect: true } }
    const cluster = new Cluster([{ host: '127.0.0.1', port: await freePort() }], options)
    const server = tidy(await startServer({ redis: cluster }, { ready: false }))
    server.broadcaster.ready().catch(() => {})
    await expect(server.broadcaster.stats()).rejects.toMatchObject(unavailable)
  })

  it('rejects with our own error while Redis does not answer', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(await startServer({ redis: redis.url }))
    redis.pause()
    await expect(server.broadcaster.stats()).rejects.toMatchObject(unavailable)
    redis.resume()
    await until('Redis to answer', () =>
      server.broadcaster.stats().then(
        () => true,
        () => false,
      ),
    )
  })

  it.each(subjects)('rejects with "closed" after close(), %s', async (_, start) => {
    const server = tidy(await start(tidy(await startRedis())))
    await server.broadcaster.close()
    const closed = { name: 'BroadcasterError', code: 'closed' }
    await expect(server.broadcaster.stats()).rejects.toMatchObject(closed)
    await expect(server.broadcaster.publish(channelName(), 'late')).rejects.toMatchObject(closed)
  })
})
