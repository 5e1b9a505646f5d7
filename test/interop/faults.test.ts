import { describe, expect, it } from 'vitest'
import { noticed, publishAndArrive, waitingPoll } from '../support/barriers.ts'
import { signIn } from '../support/connect.ts'
import { LongPollPeer, post } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startNodeProcess } from '../support/nodeProcess.ts'
import { startRedis } from '../support/redis.ts'
import { startNodes, startServer } from '../support/server.ts'
import type { Subject } from '../support/subject.ts'
import { tidy } from '../support/tidy.ts'
import { until, within } from '../support/waiting.ts'
import { WebSocketPeer } from '../support/webSocketPeer.ts'

/**
 * The faults of the original, with the numbers of the list that came with its recordings. Those of the wire (5, 7 to 10, 13, 14,
 * 16) are also rules of the protocol, which the conformance tests cover.
 */
describe('this kit does not have the faults of the original', () => {
  const redisServer = async (options: object = {}) => {
    const redis = tidy(await startRedis())
    return { redis, server: tidy(await startServer({ redis: redis.url, ...options })) }
  }
  const session = async (subject: Subject, ...channels: string[]) => {
    const peer = new LongPollPeer(subject)
    await peer.auth()
    for (const channel of channels) await peer.subscribe(channel)
    return peer
  }
  const numbers = (count: number) => Array.from({ length: count }, (_, i) => String(i))

  describe('delivery', () => {
    it.each([1, 2])(
      '1: a polling client gets every message once and in order, on %i nodes',
      async (nodes) => {
        const redis = tidy(await startRedis())
        const cluster = tidy(await startNodes(nodes, { redis: redis.url, pollTime: 20 }))
        const channel = channelName()
        const alice = await session(cluster, channel)
        const publishing = (async () => {
          for (const body of numbers(500)) await cluster.publish(channel, body)
        })()
        expect(await alice.bodies(channel, 500)).toEqual(numbers(500))
        await publishing
        await alice.hearsNothing()
      },
    )

    it('1: a newer poll ends an older one, which gets no more messages', async () => {
      const { server } = await redisServer()
      const channel = channelName()
      const alice = await session(server, channel)
      for (let i = 0; i < 5; i++) await waitingPoll(alice)
      await server.publish(channel, 'once')
      expect(await alice.next()).toMatchObject({ body: 'once' })
      await alice.hearsNothing()
    })

    it('2: a message that is published right after subscribeOk is not lost', async () => {
      const { server } = await redisServer()
      const alice = await signIn(server, { transport: 'websocket' })
      for (let i = 0; i < 200; i++) {
        const channel = channelName()
        await alice.subscribe(channel)
        await server.publish(channel, 'there')
        expect(await alice.next()).toMatchObject({ channel, body: 'there' })
      }
    })

    it('2: a message that arrives before the first poll is not lost', async () => {
      const { server } = await redisServer()
      const channel = channelName()
      const alice = await session(server, channel)
      await server.publish(channel, 'early')
      expect(await alice.next()).toMatchObject({ body: 'early' })
    })

    it('2: a message that arrives for a poll whose client has disconnected is not lost', async () => {
      const { server } = await redisServer()
      const channel = channelName()
      const alice = await session(server, channel)
      for (const body of numbers(5)) {
        const poll = await waitingPoll(alice)
        poll.abort()
        await noticed(alice)
        await server.publish(channel, body)
        expect(await alice.next()).toMatchObject({ body })
      }
      await alice.hearsNothing()
    })

    it('2: a message that arrives between two polls is not lost while the session exists', async () => {
      const { server } = await redisServer({ timeout: 2000 })
      const channel = channelName()
      const alice = await session(server, channel)
      expect((await alice.poll()).messages).toEqual([])
      // This is longer than the timeout. The poll has extended the session by twice three seconds.
      await new Promise((resolve) => setTimeout(resolve, 2300))
      await server.publish(channel, 'late')
      expect(await alice.next()).toMatchObject({ body: 'late' })
    })

    it('3: messages that have already waited for pollTime do not wait again when a poll arrives', async () => {
      const { server } = await redisServer({ timeout: 60_000, pollTime: 1500 })
      const [old, fresh] = [channelName(), channelName()]
      const [alice, bob] = [await session(server, old), await session(server, fresh)]
      await publishAndArrive(server, old, ['there'])
      await new Promise((resolve) => setTimeout(resolve, 1600))
      await publishAndArrive(server, fresh, ['new'])
      const answered: unknown[] = []
      const polls = [bob, alice].map(async (peer) => {
        const { messages } = await peer.poll()
        answered.push(...messages.map(({ body }) => body))
      })
      await within(Promise.all(polls), 'both answers')
      expect(answered).toEqual(['there', 'new'])
    })
  })

  describe('blocking', () => {
    it('4: overlapping polls do not block the server while many messages are published', async () => {
      const { server } = await redisServer()
      const channel = channelName()
      const sessions = await Promise.all(numbers(5).map(() => session(server, channel)))
      let isOver = false
      const publishing = (async () => {
        for (let i = 0; !isOver; i++) await server.publish(channel, String(i))
      })()
      for (let round = 0; round < 20; round++) {
        const polls = sessions.flatMap((peer) => [peer.poll(), peer.poll(), peer.poll()])
        for (const { status } of await within(Promise.all(polls), 'all polls to be answered'))
          expect(status).toBe(200)
      }
      isOver = true
      await publishing
      expect((await fetch(`${server.url}/health`)).status).toBe(200)
      expect((await server.broadcaster.stats()).connections).toBe(5)
      const bob = await signIn(server, { transport: 'websocket' })
      const other = channelName()
      await bob.subscribe(other)
      await server.publish(other, 'hello')
      expect(await bob.next()).toMatchObject({ body: 'hello' })
    })

    it('5: a WebSocket client that stops reading does not delay other clients', async () => {
      const { server } = await redisServer()
      const channel = channelName()
      const stalled = await WebSocketPeer.connect(server)
      await stalled.auth()
      await stalled.subscribe(channel)
      const bob = await signIn(server, { transport: 'websocket' })
      await bob.subscribe(channel)
      stalled.stall()
      const body = 'x'.repeat(65_536)
      for (let i = 0; i < 300; i++) {
        await server.publish(channel, body)
        expect(await bob.next()).toMatchObject({ channel })
      }
      const carol = await signIn(server, { transport: 'websocket' })
      expect(await carol.subscribe(channelName())).toMatchObject({ __type: 'subscribeOk' })
    })

    it('5: a long-poll client that does not read its answer does not delay other clients', async () => {
      const { server } = await redisServer({ recovery: { maxBytes: 64 * 1024 * 1024 } })
      const channel = channelName()
      const stalled = await session(server, channel)
      const body = 'x'.repeat(65_536)
      await publishAndArrive(
        server,
        channel,
        Array.from({ length: 300 }, () => body),
      )
      const response = await fetch(server.url, {
        method: 'POST',
        body: JSON.stringify({ __type: 'poll', seq: '0', __token: stalled.token }),
      })
      expect(response.status).toBe(200)
      // 20 MB that the client does not read.
      const bob = await signIn(server, { transport: 'websocket' })
      await bob.subscribe(channel)
      await server.publish(channel, 'hello')
      expect(await bob.next()).toMatchObject({ body: 'hello' })
      await response.body!.cancel()
    })
  })

  describe('ending the process', () => {
    it('6: no message on the control channel ends the process, and the process continues to work', async () => {
      const redis = tidy(await startRedis())
      const server = tidy(await startNodeProcess({ redis: redis.url }))
      const channel = channelName()
      const polling = await session(server, channel)
      const poll = await waitingPoll(polling)
      const alice = await signIn(server, { transport: 'websocket' })
      await alice.subscribe(channel)
      const { token } = polling
      const json = [null, 1, 'x', [], {}, { type: 5 }, { v: 1 }, { v: 1, type: 'fence' }, { v: 2, type: 'x' }]
      const types = [
        'subscribe',
        'unsubscribe',
        'transfer',
        'endPoll',
        'endSession',
        'pollChannel',
        'disconnect',
        'beacon',
      ]
      for (const text of [
        '',
        ' ',
        '\n',
        'garbage',
        'garbage a b',
        ...types,
        ...types.flatMap((type) => [`${type} `, `${type} ${token}`, `${type} unknown-token x`]),
        'transfer not-a-token 1',
        'subscribe unknown-token chan',
        ...json.map((value) => JSON.stringify(value)),
        ...types.flatMap((type) =>
          [{}, { token }, { token: 5 }].map((rest) => JSON.stringify({ type, ...rest })),
        ),
        '{"__proto__":{"type":"beacon"}}',
        '1 '.repeat(10_000),
      ]) {
        await server.publish('broadcaster', text)
      }
      await server.publish(channel, 'still here')
      expect(await alice.next()).toMatchObject({ body: 'still here' })
      const { messages } = await poll.answer
      expect(messages.length === 0 ? await polling.next() : messages[0]).toMatchObject({ body: 'still here' })
      expect((await fetch(`${server.url}/health`)).status).toBe(200)
    })

    it('6, 16: a poll without a seq ends neither the process nor its own connection', async () => {
      const redis = tidy(await startRedis())
      const server = tidy(await startNodeProcess({ redis: redis.url }))
      const channel = channelName()
      const alice = await session(server, channel)
      await server.publish(channel, 'hello')
      const { messages } = await alice.post({ __type: 'poll' })
      expect(messages).toMatchObject([{ body: 'hello' }])
      for (const seq of [null, 5, true, {}, []]) {
        await server.publish(channel, JSON.stringify(seq))
        expect((await alice.post({ __type: 'poll', seq })).status).toBe(200)
      }
      expect((await post(server.url, { __type: 'auth' })).status).toBe(200)
    })
  })

  describe('access', () => {
    it('7: a channel name with a space is one name, also if it is subscribed during a poll', async () => {
      const { server } = await redisServer({
        canSubscribe: (_: unknown, channel: string) => channel !== 'secret',
      })
      const alice = await session(server)
      const poll = await waitingPoll(alice)
      expect(await alice.subscribe('secret x')).toMatchObject({ __type: 'subscribeOk', channel: 'secret x' })
      await server.publish('secret', 'confidential')
      await server.publish('secret x', 'for alice')
      const body = { __type: 'message', channel: 'secret x', body: 'for alice' }
      expect((await poll.answer).messages).toEqual([body])
    })

    it('8: clients can neither subscribe to the control channel nor unsubscribe it', async () => {
      const { server } = await redisServer()
      const mallory = await signIn(server, { transport: 'websocket' })
      expect(await mallory.subscribe('broadcaster')).toMatchObject({ __type: 'subscribeError' })
      await mallory.unsubscribe('broadcaster')
      const channel = channelName()
      const alice = await session(server)
      const poll = await waitingPoll(alice)
      await alice.subscribe(channel)
      await server.publish(channel, 'coordinated')
      expect((await poll.answer).messages).toMatchObject([{ body: 'coordinated' }])
    })

    it('9, 10: a frame without a channel is refused, and does not use the channel of the frame before', async () => {
      const asked: string[] = []
      const { server } = await redisServer({
        canSubscribe: (_: unknown, channel: string) => asked.push(channel) > 0,
      })
      const channel = channelName()
      const alice = await signIn(server, { transport: 'websocket' })
      await alice.subscribe(channel)
      await alice.send({ __type: 'subscribe' })
      expect(await alice.next()).toMatchObject({ __type: 'subscribeError' })
      await alice.send({})
      expect(await alice.next()).toEqual({ __type: 'unknown' })
      expect(asked).toEqual([channel])
    })
  })

  describe('counting', () => {
    it('11: connections that have ended are not counted, also those of long-poll', async () => {
      const { server } = await redisServer({ timeout: 500 })
      await session(server)
      const alice = (await signIn(server, { transport: 'websocket' })) as WebSocketPeer
      const count = async () => (await server.broadcaster.stats()).connections
      expect(await count()).toBe(2)
      await alice.drop()
      await until('no connection to be counted', async () => (await count()) === 0)
    })

    it('11: the connections of a crashed node are not counted', async () => {
      const { redis, server } = await redisServer()
      const doomed = tidy(await startNodeProcess({ redis: redis.url }))
      await signIn(doomed, { transport: 'websocket' })
      const count = async () => (await server.broadcaster.stats()).connections
      await until('the client of the other node', async () => (await count()) === 1)
      await doomed.stop('SIGKILL')
      await until('no connection to be counted', async () => (await count()) === 0)
    })

    it('12: stats() counts clients, not polls', async () => {
      const { server } = await redisServer()
      const channel = channelName()
      const alice = await session(server, channel)
      for (let i = 0; i < 3; i++) await waitingPoll(alice)
      expect((await server.broadcaster.stats()).localSubscriptions).toEqual({ [channel]: 1 })
    })
  })

  describe('HTTP', () => {
    it('15: health is below the mount path, and is 503 while Redis is unavailable', async () => {
      const { redis, server } = await redisServer()
      const health = async () => (await fetch(`${server.url}/health`)).status
      expect(await health()).toBe(200)
      await redis.stop()
      await until('health to report it', async () => (await health()) === 503)
      const { status } = await within(post(server.url, { __type: 'auth' }), 'an answer in bounded time')
      expect(status).toBe(503)
    })

    it('13, 14: answers have the correct content type and status', async () => {
      const { server } = await redisServer()
      const headers = { Origin: server.origin }
      const { headers: answered } = await post(server.url, { __type: 'auth' }, { headers })
      expect(answered.get('content-type')).toMatch(/^application\/json\b/)
      expect(answered.get('vary')).toMatch(/\borigin\b/i)
      expect(
        (await post(server.url, { __type: 'auth' })).headers.get('access-control-allow-origin'),
      ).toBeNull()
      expect((await post(server.url, '', { method: 'PUT' })).status).toBe(405)
      const preflight = await fetch(server.url, { method: 'OPTIONS', headers })
      expect(preflight.headers.get('access-control-allow-methods')).toMatch(/\bPOST\b/)
    })
  })
})
