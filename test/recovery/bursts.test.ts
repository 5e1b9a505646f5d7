import { describe, expect, it } from 'vitest'
import { noticed, publishAndArrive, waitingPoll } from '../support/barriers.ts'
import { signIn } from '../support/connect.ts'
import { LongPollPeer } from '../support/longPollPeer.ts'
import { limitsReached } from '../support/metrics.ts'
import { channelName } from '../support/names.ts'
import { startRedis } from '../support/redis.ts'
import { startNodes, startServer, type TestServer } from '../support/server.ts'
import type { Subject } from '../support/subject.ts'
import { tidy } from '../support/tidy.ts'
import { until, within } from '../support/waiting.ts'
import { WebSocketPeer } from '../support/webSocketPeer.ts'

const redis = tidy(await startRedis())

const backends = [
  ['over Redis', { redis: redis.url }],
  ['in process', { redis: false }],
] as const

/** The clients of the original, and ours. */
const dialects = [
  ['a client of the original', {}],
  ['a client of ours', { __v: 1 }],
] as const

const cases = backends.flatMap(([where, backend]) =>
  dialects.map(([who, auth]) => [who, where, backend, auth] as const),
)

const numbers = (count: number) => Array.from({ length: count }, (_, i) => String(i))

async function session(subject: Subject, auth: object, ...channels: string[]): Promise<LongPollPeer> {
  const peer = (await signIn(subject, { transport: 'longpoll', auth })) as LongPollPeer
  for (const channel of channels) await peer.subscribe(channel)
  return peer
}

/** Publishes all bodies at once, so that they reach the server in as few reads as possible. */
async function burst(subject: Subject, channel: string, bodies: readonly string[]): Promise<void> {
  await Promise.all(bodies.map((body) => subject.publish(channel, body)))
}

const bodiesOf = (messages: readonly { [field: string]: unknown }[]) => messages.map(({ body }) => body)

const pollWaits = (server: TestServer) =>
  until('a poll to wait', async () => (await server.broadcaster.stats()).node.waitingPolls === 1)

const logMessages = async (server: TestServer) => (await server.broadcaster.stats()).node.logMessages

describe('a burst larger than a log', () => {
  it.each(cases)('L12: reaches the waiting poll of %s, %s', async (_who, _where, backend, auth) => {
    const server = tidy(await startServer(backend))
    const channel = channelName()
    const alice = await session(server, auth, channel)
    for (const count of [1500, 5000]) {
      const received = alice.bodies(channel, count)
      await pollWaits(server)
      await burst(server, channel, numbers(count))
      expect(await received).toEqual(numbers(count))
    }
    await alice.hearsNothing()
  })

  it.each(dialects)(
    'L4: makes the waiting poll of %s answer before the log drops a message',
    async (_who, auth) => {
      const server = tidy(
        await startServer({ timeout: 120_000, pollTime: 60_000, recovery: { maxMessages: 12 } }),
      )
      const channel = channelName()
      // A client of ours gets a message after a quiet time at once.
      const witness = await signIn(server, { transport: 'websocket', auth: { __v: 1 } })
      await witness.subscribe(channel)
      await server.publish(channel, 'earlier')
      await witness.next()
      const alice = await session(server, auth, channel)
      const poll = await waitingPoll(alice)
      await server.publish(channel, '0')
      await noticed(alice)
      await burst(server, channel, ['1', '2', '3', '4', '5'])
      // The answer comes long before pollTime is over.
      const { messages } = await within(poll.answer, 'the answer')
      expect(bodiesOf(messages)).toEqual(numbers(6))
    },
  )

  it.each(cases)('L12: reaches the next poll of %s, %s', async (_who, _where, backend, auth) => {
    const server = tidy(await startServer(backend))
    const channel = channelName()
    const alice = await session(server, auth, channel)
    // The first burst comes before the first poll, and the second one between two polls.
    for (let round = 0; round < 2; round++) {
      await publishAndArrive(server, channel, numbers(1500))
      expect(await alice.bodies(channel, 1500)).toEqual(numbers(1500))
    }
    await alice.hearsNothing()
  })

  it.each(cases)('is sent again after a lost answer: %s, %s', async (_who, _where, backend, auth) => {
    const server = tidy(await startServer(backend))
    const channel = channelName()
    const alice = await session(server, auth, channel)
    await publishAndArrive(server, channel, numbers(1500))
    const [lost, again] = [await alice.poll({ seq: 'same' }), await alice.poll({ seq: 'same' })]
    expect(bodiesOf(lost.messages)).toEqual(numbers(1500))
    await publishAndArrive(server, channel, numbers(1500))
    expect(again.messages).toEqual(lost.messages)
    // A client of ours confirms with positions. Here they are those before the first answer.
    const unconfirmed = '__v' in auth ? numbers(1500) : []
    const next = await alice.poll({ seq: 'next' })
    expect(bodiesOf(next.messages)).toEqual([...unconfirmed, ...numbers(1500)])
  })

  it.each(dialects)('reaches %s whose polls go to another node each time', async (_who, auth) => {
    const cluster = tidy(await startNodes(2, { redis: redis.url }))
    const channel = channelName()
    // Both nodes have the channel, one of them for a client that does not poll.
    const [here, there] = await Promise.all(
      cluster.nodes.map((node) => signIn(node, { transport: 'websocket' })),
    )
    for (const peer of [here!, there!]) await peer.subscribe(channel)
    const alice = await session(cluster, auth, channel)
    for (let round = 0; round < 4; round++) {
      await burst(cluster, channel, numbers(1500))
      await Promise.all([here!.take(1500), there!.take(1500)])
      expect(await alice.bodies(channel, 1500)).toEqual(numbers(1500))
    }
    await alice.hearsNothing()
  })

  it('L12, R6: over limits.undeliveredBytes, a client of the original gets the remaining messages, and continues', async () => {
    const limits = { undeliveredBytes: 100_000 }
    const server = tidy(await startServer({ redis: redis.url, limits, recovery: { maxMessages: 10 } }))
    const channel = channelName()
    const alice = await session(server, {}, channel)
    // Each message counts as its bytes plus a hundred.
    await publishAndArrive(
      server,
      channel,
      numbers(300).map((n) => n.padEnd(900, ' ')),
    )
    const { status, messages } = await alice.poll()
    expect(status).toBe(200)
    const got = bodiesOf(messages).map(Number)
    expect(got.length).toBeGreaterThan(90)
    expect(got).toEqual(numbers(300).slice(-got.length).map(Number))
    await server.publish(channel, 'live')
    expect(await alice.next()).toMatchObject({ body: 'live' })
    await alice.hearsNothing()
  })

  it('L12, R4: over limits.undeliveredBytes, a client of ours is told of a gap and gets the remaining messages', async () => {
    const limits = { undeliveredBytes: 100_000 }
    const server = tidy(await startServer({ redis: redis.url, limits, recovery: { maxMessages: 10 } }))
    const channel = channelName()
    const alice = await session(server, { __v: 1 }, channel)
    await publishAndArrive(
      server,
      channel,
      numbers(300).map((n) => n.padEnd(900, ' ')),
    )
    const [gap, ...messages] = (await alice.poll()).messages
    expect(gap).toMatchObject({ __type: 'gap', channel, reason: 'overflow' })
    const got = bodiesOf(messages).map(Number)
    expect(got.length).toBeGreaterThan(90)
    expect(got).toEqual(numbers(300).slice(-got.length).map(Number))
    const dropped = (await limitsReached(server.broadcaster))['undeliveredBytes']
    expect(dropped, 'each message that was dropped counts').toBe(300 - got.length)
  })

  it('is released when the session has received it', async () => {
    const options = { redis: redis.url, pollTime: 10, recovery: { maxMessages: 10 } }
    const server = tidy(await startServer(options))
    const channel = channelName()
    const alice = await session(server, { __v: 1 }, channel)
    await publishAndArrive(server, channel, numbers(500))
    expect(await logMessages(server)).toBe(500)
    expect(await alice.bodies(channel, 500)).toEqual(numbers(500))
    // The next poll confirms that the messages have arrived.
    const poll = alice.poll()
    await server.publish(channel, 'one more')
    await poll
    await until('the log to be within its bounds', async () => (await logMessages(server)) <= 10)
  })

  it('is released when the session has ended', async () => {
    const options = { redis: redis.url, timeout: 400, pollTime: 10, recovery: { maxMessages: 10 } }
    const server = tidy(await startServer(options))
    const channel = channelName()
    await session(server, { __v: 1 }, channel)
    await publishAndArrive(server, channel, numbers(500))
    await until('the session to be gone', async () => {
      await server.publish(channel, 'one more')
      return (await logMessages(server)) <= 20
    })
  })
})

describe('a message larger than a log', () => {
  const large = 'x'.repeat(1_200_000)

  it.each(cases)('reaches %s once, %s, before a poll and during one', async (_who, _where, backend, auth) => {
    const server = tidy(
      await startServer({
        ...backend,
        recovery: { maxBytes: 100_000 },
        limits: { publishedBytes: 2_000_000 },
      }),
    )
    const channel = channelName()
    const alice = await session(server, auth, channel)
    const received = alice.bodies(channel, 1)
    await pollWaits(server)
    await server.publish(channel, large)
    expect(await received).toEqual([large])
    await publishAndArrive(server, channel, ['before', large, 'after'])
    expect(await alice.bodies(channel, 3)).toEqual(['before', large, 'after'])
    await alice.hearsNothing()
  })

  it('reaches a long-poll client also if it is larger than limits.undeliveredBytes', async () => {
    const limits = { undeliveredBytes: 100_000, publishedBytes: 2_000_000 }
    const server = tidy(await startServer({ redis: redis.url, limits, recovery: { maxBytes: 50_000 } }))
    const channel = channelName()
    const alice = await session(server, {}, channel)
    await publishAndArrive(server, channel, [large])
    expect(await alice.bodies(channel, 1)).toEqual([large])
  })
})

describe('limits.answerBytes', () => {
  it.each(dialects)('L12: bounds an answer, and the next poll gets the rest: %s', async (_who, auth) => {
    const server = tidy(await startServer({ redis: redis.url, limits: { answerBytes: 10_700 } }))
    const [news, chat] = [channelName(), channelName()]
    const alice = await session(server, auth, news, chat)
    const witness = await WebSocketPeer.connect(server)
    await witness.auth()
    for (const channel of [news, chat]) await witness.subscribe(channel)
    const bodies = numbers(100).map((n) => n.padEnd(900, ' '))
    for (const body of bodies) await server.publish(Number(body) % 2 === 0 ? news : chat, body)
    await witness.take(100)
    expect((await alice.poll({ seq: 'first' })).messages).toHaveLength(10)
    // A repeated poll gets the same answer.
    expect((await alice.poll({ seq: 'first' })).messages).toHaveLength(10)
    // Without positions, the next `seq` confirms that the messages have arrived. This peer sends no positions itself.
    const rest = '__v' in auth ? bodies : bodies.slice(10)
    expect(bodiesOf(await alice.take(rest.length))).toEqual(rest)
    await alice.hearsNothing()
  })

  it('does not apply to a single message', async () => {
    const server = tidy(await startServer({ redis: redis.url, limits: { answerBytes: 1000 } }))
    const channel = channelName()
    const alice = await session(server, {}, channel)
    const bodies = ['a', 'b', 'c'].map((letter) => letter.repeat(5000))
    await publishAndArrive(server, channel, bodies)
    expect(bodiesOf((await alice.poll()).messages)).toEqual([bodies[0]])
    expect(await alice.bodies(channel, 2)).toEqual(bodies.slice(1))
  })
})
