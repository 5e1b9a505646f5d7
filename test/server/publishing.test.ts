import { broadcaster } from '@broadcaster/server'
import { Redis } from 'ioredis'
import type { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { signIn } from '../support/connect.ts'
import { channelName } from '../support/names.ts'
import { startRedis } from '../support/redis.ts'
import { startNodes, startServer } from '../support/server.ts'
import { transports } from '../support/subject.ts'
import { tidy } from '../support/tidy.ts'
import { until, within } from '../support/waiting.ts'

describe('publish()', () => {
  it('is exactly a PUBLISH, which any subscriber of Redis receives', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(await startServer({ redis: redis.url }))
    const channel = channelName()
    const stranger = new Redis(redis.url)
    tidy({ close: () => stranger.disconnect() })
    const heard: [string, string][] = []
    stranger.on('message', (...message: [string, string]) => heard.push(message))
    await stranger.subscribe(channel)
    await server.broadcaster.publish(channel, 'as it is')
    await server.broadcaster.publish(channel, { id: 1, list: [null, 'x'] })
    await until('both', () => heard.length === 2)
    expect(heard).toEqual([
      [channel, 'as it is'],
      [channel, '{"id":1,"list":[null,"x"]}'],
    ])
    expect(await redis.cli('KEYS', `*${channel}*`), 'nothing is stored').toBe('')
  })

  it.each([
    ['text', 'hello', 'hello'],
    ['text that looks like JSON', '"hello"', '"hello"'],
    ['an object', { a: [1] }, '{"a":[1]}'],
    ['a list', [1, 'x'], '[1,"x"]'],
    ['a number', 42, '42'],
    ['a boolean', false, 'false'],
    ['null', null, 'null'],
    ['an empty string', '', ''],
  ])('sends %s', async (_, body, expected) => {
    const server = tidy(await startServer())
    const channel = channelName()
    const alice = await signIn(server, { transport: 'websocket' })
    await alice.subscribe(channel)
    await server.broadcaster.publish(channel, body)
    expect(await alice.next()).toEqual({ __type: 'message', channel, body: expected })
  })

  it.each([
    ['undefined', undefined],
    ['a function', () => {}],
    [
      'a circle',
      (() => {
        const circle: unknown[] = []
        circle.push(circle)
        return circle
      })(),
    ],
    ['a big integer', 1n],
  ])('rejects %s, which is no JSON', async (_, body) => {
    const server = tidy(await startServer())
    await expect((async () => server.broadcaster.publish(channelName(), body))()).rejects.toThrow(/JSON/i)
  })

  it.each(transports)('reaches clients of every node over %s', async (transport) => {
    const redis = tidy(await startRedis())
    const cluster = tidy(await startNodes(2, { redis: redis.url }))
    const channel = channelName()
    const peers = await Promise.all(cluster.nodes.map((node) => signIn(node, { transport })))
    for (const peer of peers) await peer.subscribe(channel)
    await cluster.nodes[0]!.broadcaster.publish(channel, '1')
    await cluster.nodes[1]!.broadcaster.publish(channel, '2')
    for (const peer of peers) expect(await peer.bodies(channel, 2)).toEqual(['1', '2'])
  })

  it.each(transports)(
    'keeps the order of messages on several channels that are published in one turn, over %s',
    async (transport) => {
      const server = tidy(await startServer())
      const [first, second] = [channelName(), channelName()]
      const alice = await signIn(server, { transport })
      for (const channel of [second, first]) await alice.subscribe(channel)
      const sent = [first, second, second, first, second, first].map(
        (channel, i) => [channel, String(i)] as const,
      )
      await Promise.all(sent.map(([channel, body]) => server.publish(channel, body)))
      const heard = await alice.take(sent.length)
      expect(heard.map(({ channel, body }) => [channel, body])).toEqual(sent)
    },
  )

  it('reaches each WebSocket on all of its channels, if several clients have some of them and it is called in one turn', async () => {
    const server = tidy(await startServer())
    const all = [channelName(), channelName(), channelName()]
    const subscribed = []
    // A client gets the frames of the one before it if both have the same channels.
    for (const channels of [all.slice(0, 2), all, all.slice(1), all]) {
      const client = await signIn(server, { transport: 'websocket' })
      for (const channel of channels) await client.subscribe(channel)
      subscribed.push({ client, channels })
    }
    await Promise.all(all.map((channel) => server.publish(channel, 'news')))
    for (const { client, channels } of subscribed) {
      const heard = await client.take(channels.length)
      expect(heard.map(({ channel }) => channel)).toEqual(channels)
    }
  })

  it('waits for the first connection to Redis', async () => {
    const redis = tidy(await startRedis())
    const live = tidy(broadcaster({ redis: redis.url }))
    await live.publish(channelName(), 'hello')
  })

  it('rejects in bounded time while Redis is unavailable', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(await startServer({ redis: redis.url }))
    await redis.stop()
    await expect(
      within(Promise.resolve(server.broadcaster.publish('news', 'lost')), 'publish() to reject'),
    ).rejects.toMatchObject({ name: 'BroadcasterError', code: 'brokerUnavailable' })
  })

  it('rejects after close()', async () => {
    const server = await startServer()
    await server.close()
    await expect((async () => server.broadcaster.publish('news', 'late'))()).rejects.toMatchObject({
      code: 'closed',
    })
  })
})

it('U2: a message that arrives just before an unsubscribe is not delivered after its unsubscribeOk', async () => {
  const sockets: Socket[] = []
  const server = tidy(await startServer())
  server.httpServer.on('connection', (socket) => sockets.push(socket))
  const channel = channelName()
  const bob = await signIn(server, { transport: 'websocket' })
  const alice = await signIn(server, { transport: 'websocket' })
  sockets[0]!.on('data', () => void server.broadcaster.publish(channel, 'early'))
  for (let round = 0; round < 20; round++) {
    await alice.subscribe(channel)
    // Both frames are there when the server reads. So the message arrives in the turn in which the unsubscribe is handled.
    void bob.send({ __type: 'ping' })
    void alice.send({ __type: 'unsubscribe', channel })
    let heard = await alice.next()
    while (heard.__type === 'message') heard = await alice.next()
    expect(heard).toEqual({ __type: 'unsubscribeOk', channel })
  }
  await alice.hearsNothing()
})

it('U2: a message that arrives just after unsubscribeOk was written is not delivered', async () => {
  const sockets: Socket[] = []
  const server = tidy(await startServer())
  server.httpServer.on('connection', (socket) => sockets.push(socket))
  const channel = channelName()
  const alice = await signIn(server, { transport: 'websocket' })
  await alice.subscribe(channel)
  // This listener is called after that of the server, which has then answered the frame.
  sockets[0]!.on('data', () => void server.broadcaster.publish(channel, 'late'))
  expect(await alice.unsubscribe(channel)).toEqual({ __type: 'unsubscribeOk', channel })
  await alice.hearsNothing()
})
