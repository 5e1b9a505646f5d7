import { describe, expect, it } from 'vitest'
import type { BroadcasterOptions } from '@broadcaster/server'
import { stopSweeps } from '../support/clock.ts'
import { signIn } from '../support/connect.ts'
import type { Wire } from '../support/inbox.ts'
import { LongPollPeer } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { startNodes, startServer, type TestServer } from '../support/server.ts'
import { transports } from '../support/subject.ts'
import { tidy } from '../support/tidy.ts'
import { sleep, until } from '../support/waiting.ts'

const start = async (options: BroadcasterOptions) => {
  const redis = tidy(await startRedis())
  return { redis, server: tidy(await startServer({ ...options, redis: redis.url })) }
}

const names = (count: number) => Array.from({ length: count }, () => channelName())

/** The channels with subscribers in Redis, without those of the nodes. */
const joined = async (redis: TestRedis) =>
  (await redis.cli('PUBSUB', 'CHANNELS')).split('\n').filter((name) => !/^(broadcaster$|bc:)/.test(name))

/** Checks that only `expected` was joined, when Redis has executed all earlier commands. */
const hasJoinedOnly = async (redis: TestRedis, server: TestServer, expected: readonly string[]) => {
  const last = channelName('last')
  await (await signIn(server, { transport: 'websocket' })).subscribe(last)
  expect((await joined(redis)).sort()).toEqual([...expected, last].sort())
  expect((await server.broadcaster.stats()).node.channels).toBe(expected.length + 1)
}

const refused = (answers: readonly Wire[]) => answers.filter(({ __type }) => __type === 'subscribeError')

describe.each(transports)('S4: a subscribe that is refused over %s joins no channel', (transport) => {
  it('over channelsPerConnection, also when many are requested at once', async () => {
    const { redis, server } = await start({ limits: { channelsPerConnection: 2 } })
    const alice = await signIn(server, { transport })
    const answers = await Promise.all(names(20).map((name) => alice.subscribe(name)))
    const given = answers.filter(({ __type }) => __type === 'subscribeOk').map(({ channel }) => channel)
    expect(given).toHaveLength(2)
    expect(refused(answers)[0]).toMatchObject({ reason: 'Too many channels' })
    await hasJoinedOnly(redis, server, given as string[])
  })

  it('over channelNamesBytes, which an unsubscribe gives back', async () => {
    const { redis, server } = await start({ limits: { channelNamesBytes: 100 } })
    const alice = await signIn(server, { transport })
    const [first, second] = ['a'.repeat(50), 'é'.repeat(26)]
    expect(await alice.subscribe(first)).toMatchObject({ __type: 'subscribeOk' })
    for (let i = 0; i < 3; i++) {
      expect(await alice.subscribe(second)).toEqual({
        __type: 'subscribeError',
        channel: second,
        reason: 'Channel names too long together',
      })
      expect(await alice.subscribe(first), 'a channel that it has').toMatchObject({ __type: 'subscribeOk' })
    }
    await hasJoinedOnly(redis, server, [first])
    // The second unsubscribe must not give bytes back again.
    for (let i = 0; i < 2; i++) await alice.unsubscribe(first)
    expect(await alice.subscribe(second)).toMatchObject({ __type: 'subscribeOk' })
    expect(await alice.subscribe(first)).toMatchObject({ __type: 'subscribeError' })
    expect(await alice.subscribe('b'.repeat(48))).toMatchObject({ __type: 'subscribeOk' })
  })

  it('by canSubscribe, by its length, or by its name', async () => {
    const { redis, server } = await start({ canSubscribe: (_, channel) => /^(mine|last)/.test(channel) })
    const alice = await signIn(server, { transport })
    const mine = channelName('mine')
    const wanted = [mine, channelName(), 'mine'.repeat(200), 'mine\ud800', 'bc:mine', 'broadcaster']
    const answers = await Promise.all(wanted.map((name) => alice.subscribe(name)))
    expect(refused(answers)).toHaveLength(5)
    await hasJoinedOnly(redis, server, [mine])
  })
})

it('a subscribe of a session that has ended joins no channel', async () => {
  const asked: (() => void)[] = []
  const canSubscribe = () => new Promise<boolean>((resolve) => asked.push(() => resolve(true)))
  const { redis, server } = await start({
    canSubscribe: (_, name) => name.startsWith('last') || canSubscribe(),
  })
  const alice = new LongPollPeer(server)
  await alice.auth()
  const thinking = alice.post({ __type: 'subscribe', channel: channelName() })
  await until('canSubscribe to be asked', () => asked.length > 0)
  await redis.cli('DEL', ...(await redis.cli('KEYS', 'bc:session:*')).split('\n'))
  asked[0]!()
  expect((await thinking).status).toBe(401)
  await hasJoinedOnly(redis, server, [])
})

describe.each(transports)('S4: limits.channels over %s', (transport) => {
  it.each([{}, { __v: 1 }])(
    'refuses new channels to a client with %j while all are in use, and accepts them later',
    async (auth) => {
      const { redis, server } = await start({ limits: { channels: 3 } })
      const alice = await signIn(server, { transport, auth })
      const bob = await signIn(server, { transport, auth })
      const [first, second, third, fourth] = names(4) as [string, string, string, string]
      for (const name of [first, second, third]) await alice.subscribe(name)
      expect(await bob.subscribe(fourth)).toEqual({
        __type: 'subscribeError',
        channel: fourth,
        reason: 'Node has too many channels',
      })
      expect(await bob.subscribe(first), 'a channel that the node has').toMatchObject({
        __type: 'subscribeOk',
      })
      await alice.unsubscribe(second)
      await until('room', async () => (await bob.subscribe(fourth)).__type === 'subscribeOk')
      expect((await joined(redis)).sort()).toEqual([first, third, fourth].sort())
      await server.publish(fourth, 'hello')
      expect(await bob.next()).toMatchObject({ channel: fourth, body: 'hello' })
      expect(await alice.subscribe(second)).toMatchObject({ __type: 'subscribeError' })
    },
  )

  it('releases the channel that has been idle longest first', async () => {
    const { redis, server } = await start({ limits: { channels: 3 } })
    const alice = await signIn(server, { transport })
    const [first, second, third, fourth] = names(4) as [string, string, string, string]
    for (const name of [first, second, third]) await alice.subscribe(name)
    for (const name of [second, first, third]) {
      await alice.unsubscribe(name)
      // The server compares times in ms.
      await sleep(5)
    }
    expect(await alice.subscribe(fourth)).toMatchObject({ __type: 'subscribeOk' })
    expect((await joined(redis)).sort()).toEqual([first, third, fourth].sort())
  })
})

it.each(['memory', 'Redis'] as const)(
  'limits.channels: a channel for which there was no room does not count for channelsPerConnection, in %s',
  async (kind) => {
    const redis = kind === 'Redis' && tidy(await startRedis())
    const limits = { channels: 1, channelsPerConnection: 1 }
    const server = tidy(await startServer({ redis: redis && redis.url, limits }))
    const bob = await signIn(server, { transport: 'websocket' })
    await bob.subscribe('full')
    const alice = await signIn(server, { transport: 'longpoll' })
    for (const channel of names(2)) {
      expect(await alice.subscribe(channel)).toMatchObject({ reason: 'Node has too many channels' })
    }
    expect(await alice.subscribe('full')).toMatchObject({ __type: 'subscribeOk' })
  },
)

it('limits.channels: a poll to a full node is refused, and keeps its session', async () => {
  const redis = tidy(await startRedis())
  const cluster = tidy(await startNodes(2, { redis: redis.url, limits: { channels: 1 } }))
  const [here, full] = cluster.nodes as [TestServer, TestServer]
  const alice = new LongPollPeer(here)
  await alice.auth({ __v: 1 })
  const [channel, another] = names(2) as [string, string]
  await alice.subscribe(channel)
  const bob = await signIn(full, { transport: 'websocket' })
  await bob.subscribe(another)
  const elsewhere = await fetch(full.url, {
    method: 'POST',
    body: JSON.stringify({ __type: 'poll', seq: 'x', __token: alice.token }),
  })
  expect(elsewhere.status).toBe(503)
  await here.publish(channel, 'hello')
  expect(await alice.next()).toMatchObject({ channel, body: 'hello' })
})

describe.each(transports)('S7: limits.newChannelsPerSecond over %s', (transport) => {
  it('limits the rate of names that the node does not have, after channelsPerConnection at once', async () => {
    const burst = 20
    const limits = { newChannelsPerSecond: 1, channelsPerConnection: burst, requestsPerSecond: Infinity }
    const { redis, server } = await start({ limits })
    const alice = await signIn(server, { transport })
    const begun = performance.now()
    const first = names(burst)
    const atOnce = await Promise.all(first.map((name) => alice.subscribe(name)))
    expect(refused(atOnce)).toEqual([])
    await Promise.all(first.map((name) => alice.unsubscribe(name)))
    // They would wait for 1, 2, 3, ... seconds. Those that would wait for too long are refused.
    const answers = await Promise.all(names(burst).map((name) => alice.subscribe(name)))
    const given = answers.filter(({ __type }) => __type === 'subscribeOk')
    const seconds = (performance.now() - begun) / 1000
    expect(given.length).toBeGreaterThan(0)
    expect(given.length).toBeLessThanOrEqual(seconds + 1)
    expect(answers.find(({ __type }) => __type !== 'subscribeOk')).toMatchObject({
      __type: 'serverError',
      reason: 'Too many new channels',
    })
    const { refusals } = (await server.broadcaster.stats()).node
    expect(refusals.limit).toBe(answers.length - given.length)
    // The node still has these channels.
    for (const { channel } of given) await alice.unsubscribe(channel as string)
    const again = await Promise.all(first.map((name) => alice.subscribe(name)))
    expect(again.filter(({ __type }) => __type === 'subscribeOk')).toHaveLength(burst)
    expect(await joined(redis)).toHaveLength(burst + given.length)
  })

  it('gives back the names of the time that has passed, not all of them', async () => {
    const clock = stopSweeps()
    const limits = { newChannelsPerSecond: 1, channelsPerConnection: 10, requestsPerSecond: Infinity }
    const { server } = await start({ limits })
    const alice = await signIn(server, { transport })
    const first = names(10)
    await Promise.all(first.map((name) => alice.subscribe(name)))
    await Promise.all(first.map((name) => alice.unsubscribe(name)))
    clock.advance(2500)
    // Two are given at once, five wait for up to five seconds, and the rest would have to wait longer.
    const answers = await Promise.all(names(10).map((name) => alice.subscribe(name)))
    expect(answers.filter(({ __type }) => __type === 'subscribeOk')).toHaveLength(7)
  })
})
