import { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { publishAndArrive } from '../support/barriers.ts'
import { signIn } from '../support/connect.ts'
import { LongPollPeer } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startRedis } from '../support/redis.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { Metrics } from '../support/metrics.ts'
import { tidy } from '../support/tidy.ts'
import { WebSocketPeer } from '../support/webSocketPeer.ts'

const nodeStats = async (server: TestServer) => (await server.broadcaster.stats()).node

describe('stats() shows how often a limit was reached', () => {
  it('publishedBytes: oversizedMessages', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(await startServer({ redis: redis.url, limits: { publishedBytes: 100 } }))
    const publisher = new Redis(redis.url)
    tidy({ close: () => publisher.disconnect() })
    const channel = channelName()
    const alice = await signIn(server, { transport: 'websocket', auth: { __v: 1 } })
    await alice.subscribe(channel)
    for (const body of ['x'.repeat(100), 'x'.repeat(101), 'x'.repeat(1000)]) {
      await publisher.publish(channel, body)
    }
    expect((await alice.take(3)).map(({ __type }) => __type)).toEqual(['message', 'gap', 'gap'])
    expect((await nodeStats(server)).oversizedMessages).toBe(2)
  })

  it.each([1, 3])('answerBytes: cutAnswers, for polls and replays of %i channels', async (count) => {
    const server = tidy(await startServer({ limits: { answerBytes: 10_000 } }))
    const [alice, bob] = (await Promise.all(
      [1, 2].map(() => signIn(server, { transport: 'longpoll', auth: { __v: 1 } })),
    )) as [LongPollPeer, LongPollPeer]
    const channels = Array.from({ length: count }, () => channelName())
    const positions: unknown[] = []
    for (const channel of channels) positions.push((await alice.subscribe(channel))['position'])
    const bodies = Array.from({ length: 15 }, (_, i) => `${i}`.padEnd(900, ' '))
    for (const channel of channels) await publishAndArrive(server, channel, bodies)
    await alice.take(count * bodies.length)
    // About eight messages fit into an answer.
    const cut = Math.ceil((count * bodies.length) / 9) - 1
    const polls = (await nodeStats(server)).cutAnswers
    expect(polls).toBeGreaterThanOrEqual(cut)
    expect(polls).toBeLessThanOrEqual(2 * cut)
    await bob.subscribe(channels[0]!, { position: positions[0] })
    expect((await nodeStats(server)).cutAnswers).toBe(polls + 1)
  })

  it('connections: refusals.limit, for a poll', async () => {
    const server = tidy(await startServer({ limits: { connections: 1 } }))
    const alice = (await signIn(server, { transport: 'longpoll' })) as LongPollPeer
    await alice.subscribe(channelName())
    await WebSocketPeer.connect(server)
    expect((await alice.poll()).status).toBe(503)
    expect((await nodeStats(server)).refusals.limit).toBe(1)
  })

  it('connections: refusals.limit, for a session', async () => {
    const server = tidy(await startServer({ limits: { connections: 1 } }))
    await signIn(server, { transport: 'longpoll' })
    const bob = new LongPollPeer(server)
    expect((await bob.post({ __type: 'auth' })).status).toBe(503)
    expect((await nodeStats(server)).refusals.limit).toBe(1)
  })
})

it('broadcaster_sent_bytes_total counts the frames of answers and messages, and the bodies of answers', async () => {
  const server = tidy(await startServer())
  const metrics = new Metrics(server.broadcaster)
  const sent = (transport: string) => metrics.value('sent_bytes_total', { transport })
  const alice = await WebSocketPeer.connect(server)
  let bytes = 0
  // Each frame is short, so its head has two bytes.
  alice.socket.on('message', (data: Buffer) => void (bytes += 2 + data.length))
  await alice.auth()
  await alice.subscribe('news')
  expect(await sent('websocket')).toBe(bytes)
  await server.publish('news', 'hello')
  await alice.next()
  expect(await sent('websocket')).toBe(bytes)
  const bob = new LongPollPeer(server)
  const { text } = await bob.post({ __type: 'auth' })
  expect(await sent('longpoll')).toBe(Buffer.byteLength(text))
})

it('the metrics of channels and logs are sums over all channels', async () => {
  const server = tidy(await startServer())
  const metrics = new Metrics(server.broadcaster)
  const alice = (await signIn(server, { transport: 'websocket', auth: { __v: 1 } })) as WebSocketPeer
  for (const channel of ['news', 'chat']) {
    await alice.subscribe(channel)
    await server.publish(channel, 'hello')
    await alice.next()
  }
  const { node } = await server.broadcaster.stats()
  expect(await metrics.value('channels')).toBe(2)
  expect(await metrics.value('log_messages')).toBe(2)
  expect(await metrics.value('log_size_bytes')).toBe(node.logBytes)
  expect(node.logBytes).toBeGreaterThan(0)
})
