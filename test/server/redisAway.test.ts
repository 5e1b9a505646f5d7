import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { waitingPoll } from '../support/barriers.ts'
import { signIn } from '../support/connect.ts'
import { LongPollPeer, post } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startRedis } from '../support/redis.ts'
import { freePort } from '../support/redisServer.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { transports } from '../support/subject.ts'
import { tcpProxy } from '../support/tcpProxy.ts'
import { tidy } from '../support/tidy.ts'
import { sleep, until, within } from '../support/waiting.ts'
import { WebSocketPeer } from '../support/webSocketPeer.ts'

const health = async (server: TestServer) => (await fetch(`${server.url}/health`)).status
const isHealthy = (server: TestServer) => until('health 200', async () => (await health(server)) === 200)
const isUnhealthy = (server: TestServer) => until('health 503', async () => (await health(server)) === 503)

/** Checks that every kind of request is answered with an error in bounded time. */
async function expectServerErrors(
  server: TestServer,
  alice: WebSocketPeer,
  session?: LongPollPeer,
): Promise<void> {
  const channel = channelName()
  expect(await alice.subscribe(channel, { position: '0.0' })).toEqual({
    __type: 'serverError',
    channel,
    reason: 'Broker unavailable',
  })
  const requests = [post(server.url, { __type: 'auth' })]
  if (session) {
    requests.push(
      session.post({ __type: 'subscribe', channel }),
      session.post({ __type: 'unsubscribe', channel }),
    )
    requests.push(session.poll())
  }
  for (const { status, messages } of await Promise.all(requests)) {
    expect(status).toBe(503)
    expect(messages).toMatchObject([{ __type: 'serverError', reason: expect.stringMatching(/./) }])
  }
}

describe('a Redis that is unavailable at the start', () => {
  it('causes 503 and serverError, and everything works when it is available', async () => {
    const port = await freePort()
    const server = tidy(await startServer({ redis: `redis://127.0.0.1:${port}` }, { ready: false }))
    let isReady = false
    const ready = server.broadcaster.ready().then(() => (isReady = true))
    await server.logs.waitFor(/Redis/)
    expect(await health(server)).toBe(503)
    const alice = (await signIn(server, { transport: 'websocket', auth: { __v: 1 } })) as WebSocketPeer
    await expectServerErrors(server, alice)
    expect(isReady).toBe(false)
    expect(server.logs.loud()).toHaveLength(1)

    const redis = tidy(await startRedis({ port }))
    await within(ready, 'ready()')
    await isHealthy(server)
    const channel = channelName()
    expect(await alice.subscribe(channel)).toMatchObject({ __type: 'subscribeOk', channel })
    await redis.cli('PUBLISH', channel, 'hello')
    expect(await alice.next()).toMatchObject({ body: 'hello' })
    const bob = await signIn(server, { transport: 'longpoll' })
    await bob.subscribe(channel)
    await redis.cli('PUBLISH', channel, 'hello bob')
    expect(await bob.next()).toMatchObject({ body: 'hello bob' })
  })

  it('causes 503 at once if it is a Cluster, too', async () => {
    const cluster = [{ host: '127.0.0.1', port: await freePort() }]
    const server = tidy(await startServer({ redis: { cluster } }, { ready: false }))
    await server.logs.waitFor(/Redis/)
    expect((await within(post(server.url, { __type: 'auth' }), 'the answer', 20_000)).status).toBe(503)
  })

  it('does not prevent close()', async () => {
    const port = await freePort()
    const server = await startServer({ redis: `redis://127.0.0.1:${port}` }, { ready: false })
    const ready = server.broadcaster.ready()
    await server.logs.waitFor(/Redis/)
    await within(server.close(), 'the server to close')
    await expect(within(ready, 'ready() to reject')).rejects.toMatchObject({ code: 'closed' })
  })
})

describe('a Redis that stops and starts again', () => {
  it('S1: does not disconnect clients, which get serverError meanwhile and then messages again', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(await startServer({ redis: redis.url }))
    const channel = channelName()
    const alice = (await signIn(server, { transport: 'websocket', auth: { __v: 1 } })) as WebSocketPeer
    await alice.subscribe(channel)
    const session = new LongPollPeer(server)
    await session.auth()

    await redis.stop()
    await isUnhealthy(server)
    await expectServerErrors(server, alice, session)
    // This is long enough for many attempts.
    await sleep(3000)
    expect(server.logs.loud(), 'one clear line, not one per attempt').toEqual([
      expect.stringContaining('Redis'),
    ])

    await redis.start()
    await isHealthy(server)
    expect(await alice.next(), 'no node has the messages of that time').toMatchObject({
      __type: 'gap',
      channel,
      reason: 'broker',
    })
    expect(await redis.cli('PUBLISH', channel, 'back')).toBe('1')
    expect(await alice.next()).toMatchObject({ __type: 'message', channel, body: 'back' })
    expect(alice.socket.readyState).toBe(alice.socket.OPEN)

    const other = channelName()
    expect(await alice.subscribe(other)).toMatchObject({ __type: 'subscribeOk' })
    const bob = await signIn(server, { transport: 'longpoll' })
    expect(await bob.subscribe(other)).toMatchObject({ __type: 'subscribeOk' })
    await redis.cli('PUBLISH', other, 'hello')
    for (const peer of [alice, bob]) expect(await peer.next()).toMatchObject({ body: 'hello' })
  })

  it('is logged once each time that it stops, and when it is back', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(await startServer({ redis: redis.url }))
    for (let times = 1; times <= 2; times++) {
      await redis.stop()
      await isUnhealthy(server)
      await redis.start()
      await isHealthy(server)
      const [away, back] = [server.logs.loud('Redis is away'), server.logs.loud('Redis is back')]
      expect(away).toHaveLength(times)
      expect(back).toHaveLength(times)
      expect(server.logs.loud(), 'and nothing else').toHaveLength(2 * times)
    }
  })

  it('R6: closes a client of the base, because the client can not be told of a gap', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(await startServer({ redis: redis.url }))
    const alice = (await signIn(server, { transport: 'websocket' })) as WebSocketPeer
    await alice.subscribe(channelName())
    const idle = (await signIn(server, { transport: 'websocket' })) as WebSocketPeer
    await redis.stop()
    await isUnhealthy(server)
    await redis.start()
    expect(await alice.closed).toEqual({ code: 4410, reason: 'Messages were missed' })
    expect(await idle.subscribe(channelName()), 'a client without a channel misses nothing').toMatchObject({
      __type: 'subscribeOk',
    })
  })

  it('does not disconnect any client if recovery is off, like the original server', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(await startServer({ redis: redis.url, recovery: false }))
    const channel = channelName()
    const alice = await signIn(server, { transport: 'websocket', auth: { __v: 1 } })
    await alice.subscribe(channel)
    await redis.stop()
    await isUnhealthy(server)
    await redis.start()
    await isHealthy(server)
    await redis.cli('PUBLISH', channel, 'back')
    expect(await alice.next()).toEqual({ __type: 'message', channel, body: 'back' })
  })

  it('makes a waiting poll end, and the client authenticates again', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(await startServer({ redis: redis.url, timeout: 60_000 }))
    const channel = channelName()
    const alice = new LongPollPeer(server)
    await alice.auth()
    await alice.subscribe(channel)
    const poll = await waitingPoll(alice)
    await redis.stop()
    await isUnhealthy(server)
    await redis.start()
    await isHealthy(server)
    expect((await poll.answer).status).toBe(503)
    // Redis is empty, so the session is gone. This is not a refusal, so the client is told of missed messages, once.
    const told = [await alice.poll(), await alice.poll()]
    expect(told.map(({ status }) => status)).toEqual([503, 401])
    expect(told.map(({ messages }) => messages)).toEqual([
      [{ __type: 'serverError', reason: 'Messages were missed' }],
      [{ __type: 'authError', reason: 'Auth expected' }],
    ])
  })
})

describe('a Redis that does not answer', () => {
  it('is noticed while it is paused, and requests are answered in bounded time', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(await startServer({ redis: redis.url }))
    const alice = (await signIn(server, { transport: 'websocket', auth: { __v: 1 } })) as WebSocketPeer
    const session = new LongPollPeer(server)
    await session.auth()
    redis.pause()
    await expectServerErrors(server, alice, session)
    await isUnhealthy(server)
    redis.resume()
    await isHealthy(server)
    expect(await alice.subscribe(channelName())).toMatchObject({ __type: 'subscribeOk' })
  })

  it.each(['up', 'down', undefined] as const)(
    'is noticed when the subscriber connection is half-open (%s), and it is replaced',
    async (direction) => {
      const redis = tidy(await startRedis())
      const proxy = tidy(await tcpProxy(redis.port))
      const server = tidy(await startServer({ redis: redis.url, pubSub: `redis://${proxy.address}` }))
      const channel = channelName()
      const alice = await signIn(server, { transport: 'websocket', auth: { __v: 1 } })
      await alice.subscribe(channel)
      await redis.cli('PUBLISH', channel, '1')
      expect(await alice.next()).toMatchObject({ body: '1' })

      proxy.stall(direction)
      await isUnhealthy(server)
      expect(server.logs.loud().length).toBeLessThanOrEqual(2)
      proxy.cut()
      proxy.resume()
      await isHealthy(server)
      expect(await alice.next()).toMatchObject({ __type: 'gap', channel, reason: 'broker' })
      await redis.cli('PUBLISH', channel, '2')
      expect(await alice.next()).toMatchObject({ body: '2' })
    },
  )

  it.each(transports)(
    'S2: does not cause a subscribeOk before it has confirmed the subscription, over %s',
    async (transport) => {
      const redis = tidy(await startRedis())
      const proxy = tidy(await tcpProxy(redis.port))
      const server = tidy(await startServer({ redis: redis.url, pubSub: `redis://${proxy.address}` }))
      const alice = await signIn(server, { transport })
      // Only SUBSCRIBE is delayed. Every other sign that Redis works arrives at once.
      proxy.delay(300, 'up')
      for (let i = 0; i < 3; i++) {
        const channel = channelName()
        expect(await alice.subscribe(channel)).toEqual({ __type: 'subscribeOk', channel })
        await redis.cli('PUBLISH', channel, 'just in time')
        expect(await alice.next()).toMatchObject({ channel, body: 'just in time' })
      }
    },
  )

  it('R3: makes the node recover the missed messages from another node', async () => {
    const redis = tidy(await startRedis())
    const proxy = tidy(await tcpProxy(redis.port))
    const healthy = tidy(await startServer({ redis: redis.url }))
    const server = tidy(await startServer({ redis: redis.url, pubSub: `redis://${proxy.address}` }))
    const channel = channelName()
    const witness = await signIn(healthy, { transport: 'websocket', auth: { __v: 1 } })
    const alice = await signIn(server, { transport: 'websocket', auth: { __v: 1 } })
    for (const peer of [witness, alice]) await peer.subscribe(channel)
    await redis.cli('PUBLISH', channel, '1')
    expect(await alice.next()).toMatchObject({ body: '1' })
    proxy.refuse()
    proxy.cut()
    await isUnhealthy(server)
    await redis.cli('PUBLISH', channel, '2')
    await redis.cli('PUBLISH', channel, '3')
    proxy.resume()
    expect(await alice.bodies(channel, 2)).toEqual(['2', '3'])
    await redis.cli('PUBLISH', channel, '4')
    expect(await alice.bodies(channel, 1)).toEqual(['4'])
    expect(await witness.bodies(channel, 4)).toEqual(['1', '2', '3', '4'])
  })
})

describe('a Redis that refuses what a new channel needs', () => {
  it('causes serverError at once, also for a client that waits already', async () => {
    const redis = tidy(await startRedis())
    await redis.cli('ACL', 'SETUSER', 'node', 'on', '>x', '~*', '&*', '+@all')
    const server = tidy(await startServer({ redis: redis.url.replace('//', '//node:x@') }))
    const alice = await signIn(server, { transport: 'websocket' })
    await redis.cli('ACL', 'SETUSER', 'node', '-eval', '-evalsha')
    // The time of no request is over.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    expect(await alice.subscribe(channelName())).toMatchObject({ __type: 'serverError' })
  })
})

describe('many channels', () => {
  it('are all subscribed again before health is 200', async () => {
    const redis = tidy(await startRedis())
    const limits = { channelsPerConnection: 5000, channelNamesBytes: Infinity }
    const server = tidy(await startServer({ redis: redis.url, limits }))
    const alice = (await signIn(server, { transport: 'websocket', auth: { __v: 1 } })) as WebSocketPeer
    const channels = Array.from({ length: 3000 }, () => channelName())
    for (let i = 0; i < channels.length; i += 300) {
      const some = channels.slice(i, i + 300)
      for (const channel of some) await alice.send({ __type: 'subscribe', channel })
      const answers = await alice.take(some.length)
      expect(answers.filter(({ __type }) => __type !== 'subscribeOk')).toEqual([])
    }
    await redis.stop()
    await isUnhealthy(server)
    await redis.start()
    await isHealthy(server)
    const listened = (await redis.cli('PUBSUB', 'CHANNELS')).split('\n')
    expect(new Set(listened)).toEqual(new Set([...listened, ...channels]))
    const gaps = await alice.take(channels.length)
    expect(new Set(gaps.map(({ channel }) => channel))).toEqual(new Set(channels))
    await redis.cli('PUBLISH', channels[2999]!, 'hello')
    expect(await alice.next()).toMatchObject({ channel: channels[2999], body: 'hello' })
  })
})
