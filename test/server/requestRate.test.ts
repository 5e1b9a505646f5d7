import { describe, expect, it } from 'vitest'
import { stopClock, stopSweeps } from '../support/clock.ts'
import { connect, signIn } from '../support/connect.ts'
import { LongPollPeer, post } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startRedis } from '../support/redis.ts'
import { startNodes, startServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { refusedHandshake, WebSocketPeer } from '../support/webSocketPeer.ts'

/** One token a second, and a bucket of six. */
const limits = { requestsPerSecond: 1, channelsPerConnection: 3 }

const tooMany = [{ __type: 'serverError', reason: 'Too many requests' }]

/** Sends frames until the bucket is empty, and one more. */
async function sendTooMuch(peer: WebSocketPeer): Promise<void> {
  for (let i = 0; i < 10; i++) await peer.send({ __type: 'unknown' })
}

describe('limits.requestsPerSecond', () => {
  it('W12: closes a WebSocket with 4429, and answers the requests before', async () => {
    const clock = stopClock()
    const server = tidy(await startServer({ limits }))
    const alice = (await signIn(server, { transport: 'websocket' })) as WebSocketPeer
    await sendTooMuch(alice)
    expect(await alice.take(5)).toEqual(Array(5).fill({ __type: 'unknown' }))
    expect(await alice.closed).toEqual({ code: 4429, reason: 'Too many requests' })
    expect(alice.pending).toEqual([])
    clock.advance(1000)
    const bob = await WebSocketPeer.connect(server)
    expect(await bob.auth(), 'each client has its own bucket').toMatchObject({ __type: 'authOk' })
    clock.advance(1000)
    for (let i = 0; i < 6; i++) await bob.send({ __type: 'unknown' })
    expect(await bob.take(6)).toHaveLength(6)
    clock.advance(3000)
    for (let i = 0; i < 4; i++) await bob.send({ __type: 'unknown' })
    expect(await bob.take(3)).toHaveLength(3)
    expect((await bob.closed).code).toBe(4429)
  })

  it.each<[string, (peer: WebSocketPeer) => void]>([
    ['ping', (peer) => peer.socket.ping()],
    ['pong', (peer) => peer.socket.pong()],
  ])('W12: counts %s frames too', async (_, send) => {
    stopClock()
    const server = tidy(await startServer({ limits }))
    const alice = await WebSocketPeer.connect(server)
    await alice.auth()
    for (let i = 0; i < 10; i++) send(alice)
    expect((await alice.closed).code).toBe(4429)
  })

  it('L13: answers a request of a session with 429 and Retry-After, does not execute it, and keeps the session', async () => {
    const clock = stopClock()
    const server = tidy(await startServer({ limits }))
    const channel = channelName()
    const alice = new LongPollPeer(server)
    await alice.auth({ __v: 1 })
    await alice.subscribe(channel)
    await server.publish(channel, 'hello')
    for (let i = 0; i < 5; i++) expect((await alice.post({ __type: 'unknown' })).status).toBe(200)
    const refused = await alice.poll({ seq: 'x' })
    expect(refused).toMatchObject({ status: 429, messages: tooMany })
    expect(refused.headers.get('retry-after')).toBe('1')
    expect((await alice.post({ __type: 'unsubscribe', channel })).status).toBe(429)
    clock.advance(1000)
    expect((await alice.poll({ seq: 'x' })).messages).toMatchObject([{ channel, body: 'hello' }])
  })

  it.each(['websocket', 'longpoll'] as const)(
    'W12, L13: permits to subscribe to all channels at once and to unsubscribe from them, over %s',
    async (transport) => {
      stopClock()
      const server = tidy(await startServer({ limits: { requestsPerSecond: 1, channelsPerConnection: 5 } }))
      const alice = await signIn(server, { transport })
      const names = Array.from({ length: 5 }, () => channelName())
      const subscribed = await Promise.all(names.map((name) => alice.subscribe(name)))
      expect(subscribed.every(({ __type }) => __type === 'subscribeOk')).toBe(true)
      const left = await Promise.all(names.slice(1).map((name) => alice.unsubscribe(name)))
      expect(left.every(({ __type }) => __type === 'unsubscribeOk')).toBe(true)
    },
  )

  it('refuses no client for ever: it continues from its position and misses no message', async () => {
    const clock = stopClock()
    const server = tidy(await startServer({ limits }))
    const channel = channelName()
    const alice = await WebSocketPeer.connect(server)
    await alice.auth({ __v: 1 })
    const { position } = await alice.subscribe(channel)
    await sendTooMuch(alice)
    expect((await alice.closed).code).toBe(4429)
    for (const body of ['a', 'b', 'c']) await server.publish(channel, body)
    clock.advance(1000)
    const again = await WebSocketPeer.connect(server)
    await again.auth({ __v: 1 })
    const { recovered, messages } = await again.subscribe(channel, { position })
    expect(recovered).toBe(true)
    expect((messages as [string, string][]).map(([body]) => body)).toEqual(['a', 'b', 'c'])
  })

  it('gives no full bucket to a client that reconnects at once, because 4429 costs the address a second', async () => {
    const clock = stopClock()
    // An address can send six handshakes or other requests without a session.
    const server = tidy(await startServer({ limits: { ...limits, connectionsPerAddress: 3 } }))
    for (let i = 0; i < 4; i++) expect((await post(server.url, 'nonsense')).status).toBe(401)
    const alice = await WebSocketPeer.connect(server)
    await alice.auth()
    await sendTooMuch(alice)
    expect((await alice.closed).code).toBe(4429)
    const refused = await refusedHandshake(server)
    expect(refused).toMatchObject({ status: 429, headers: { 'retry-after': '1' } })
    clock.advance(1000)
    await WebSocketPeer.connect(server)
  })

  it('does not forget while it is exceeded', async () => {
    const clock = stopSweeps()
    const server = tidy(await startServer({ limits: { ...limits, connectionsPerAddress: 20 } }))
    for (let i = 0; i < 40; i++) expect((await post(server.url, 'nonsense')).status).toBe(401)
    expect((await post(server.url, 'nonsense')).status).toBe(429)
    clock.advance(10_000)
    for (let i = 0; i < 10; i++) expect((await post(server.url, 'nonsense')).status).toBe(401)
    expect((await post(server.url, 'nonsense')).status).toBe(429)
  })

  it('does not forget a session while it is exceeded', async () => {
    const clock = stopSweeps()
    const server = tidy(await startServer({ limits: { requestsPerSecond: 1, channelsPerConnection: 20 } }))
    const alice = new LongPollPeer(server)
    await alice.auth()
    const ping = async () => (await alice.post({ __type: 'ping' })).status
    for (let i = 0; i < 40; i++) expect(await ping()).toBe(200)
    expect(await ping()).toBe(429)
    clock.advance(10_000)
    for (let i = 0; i < 10; i++) expect(await ping()).toBe(200)
    expect(await ping()).toBe(429)
  })

  it('L13: exposes Retry-After to pages of other origins, in addition to the headers that the application exposes', async () => {
    stopClock()
    const server = tidy(
      await startServer(
        { limits: { ...limits, connectionsPerAddress: 1 }, checkOrigin: ['https://app.example'] },
        {
          before: (app) =>
            app.use((_req, res, next) => {
              res.set('Access-Control-Expose-Headers', 'X-Request-Id')
              next()
            }),
        },
      ),
    )
    const headers = { Origin: 'https://app.example' }
    for (let i = 0; i < 2; i++) await post(server.url, { __type: 'poll', seq: '0' }, { headers })
    const refused = await post(server.url, { __type: 'auth' }, { headers })
    expect(refused.status).toBe(429)
    expect(refused.headers.get('access-control-expose-headers')).toBe('X-Request-Id, Retry-After')
  })

  it('W10, L13: counts requests without an existing session by their address, also with invented tokens', async () => {
    stopClock()
    const server = tidy(
      await startServer({
        limits: { ...limits, connectionsPerAddress: 3 },
        checkOrigin: ['https://app.example'],
      }),
    )
    const alice = await signIn(server, { transport: 'longpoll' })
    const statuses = []
    for (let i = 0; i < 8; i++) {
      statuses.push((await post(server.url, { __type: 'poll', seq: '0', __token: `made-up ${i}` })).status)
    }
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429, 429, 429])
    const refused = await post(server.url, { __type: 'auth' }, { headers: { Origin: 'https://app.example' } })
    expect(refused).toMatchObject({ status: 429, messages: tooMany })
    expect(refused.headers.get('retry-after')).toBe('1')
    expect(refused.headers.get('access-control-allow-origin')).toBe('https://app.example')
    expect(refused.headers.get('access-control-expose-headers'), 'a page may read it').toBe('Retry-After')
    expect((await refusedHandshake(server)).status).toBe(429)
    expect(await alice.subscribe(channelName()), 'a session has its own').toMatchObject({
      __type: 'subscribeOk',
    })
  })

  it('counts requests of a session of another node for the session', async () => {
    const redis = tidy(await startRedis())
    stopClock()
    const cluster = tidy(
      await startNodes(2, { redis: redis.url, limits: { ...limits, connectionsPerAddress: 3 } }),
    )
    const [first, second] = cluster.nodes
    // The address has one token left at the second node. A request takes it, and puts it back.
    for (let i = 0; i < 5; i++) expect((await post(second!.url, 'nonsense')).status).toBe(401)
    for (let i = 0; i < 3; i++) {
      const { messages } = await post(first!.url, { __type: 'auth' })
      for (let j = 0; j < 4; j++) {
        const request = { __type: 'unsubscribe', channel: 'x', __token: messages[0]!.__token }
        expect((await post(second!.url, request)).status).toBe(200)
      }
    }
  })

  it('W12: permits the requests of one second at once, also if a client may have few channels', async () => {
    stopClock()
    const server = tidy(await startServer({ limits: { requestsPerSecond: 20, channelsPerConnection: 1 } }))
    const alice = await connect(server, { transport: 'websocket' })
    await alice.auth()
    for (let i = 0; i < 19; i++) await alice.send({ __type: 'unknown' })
    expect(await alice.take(19)).toHaveLength(19)
  })

  it('can be Infinity', async () => {
    stopClock()
    const server = tidy(
      await startServer({ limits: { requestsPerSecond: Infinity, channelsPerConnection: 1 } }),
    )
    const alice = await connect(server, { transport: 'websocket' })
    await alice.auth()
    for (let i = 0; i < 200; i++) await alice.send({ __type: 'unknown' })
    expect(await alice.take(200)).toHaveLength(200)
    for (let i = 0; i < 200; i++) expect((await post(server.url, { __type: 'poll' })).status).toBe(401)
  })
})
