import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { stopClock } from '../support/clock.ts'
import { LongPollPeer } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { startServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'

const sentByRedis = async (redis: TestRedis) =>
  Number(/total_net_output_bytes:(\d+)/.exec(await redis.cli('INFO', 'stats'))![1])

const REQUESTS = 10

describe('a request on a long-poll session with 60 KB of names', () => {
  it('reads the names from Redis only if it is a poll and they have changed', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(
      await startServer({ redis: redis.url, pollTime: 0, limits: { channelsPerConnection: 300 } }),
    )
    const alice = new LongPollPeer(server)
    await alice.auth({ __v: 1 })
    const names = Array.from({ length: 300 }, (_, i) => `${i}`.padEnd(200, 'x'))
    for (let i = 0; i < names.length; i += 50) {
      await Promise.all(names.slice(i, i + 50).map((name) => alice.subscribe(name)))
    }
    const bytesOf = async (message: object) => {
      const before = await sentByRedis(redis)
      for (let i = 0; i < REQUESTS; i++) expect((await alice.post(message)).status).toBe(200)
      return ((await sentByRedis(redis)) - before) / REQUESTS
    }
    for (const message of [
      { __type: 'ping' },
      { __type: 'auth' },
      { __type: 'no such type' },
      { __type: 'subscribe' },
      { __type: 'subscribe', channel: names[0] },
      { __type: 'subscribe', channel: 'x'.repeat(600) },
      { __type: 'subscribe', channel: 'one too many' },
      { __type: 'unsubscribe', channel: 'not subscribed' },
    ]) {
      expect(await bytesOf(message), JSON.stringify(message).slice(0, 80)).toBeLessThan(2000)
    }
    const bytesOfPoll = async () => {
      await server.publish(names[0]!, 'hello')
      const before = await sentByRedis(redis)
      expect((await alice.next()).body).toBe('hello')
      return (await sentByRedis(redis)) - before
    }
    expect(await bytesOfPoll()).toBeGreaterThan(60_000)
    expect(await bytesOfPoll()).toBeLessThan(2000)
    await alice.unsubscribe(names[1]!)
    expect(await bytesOfPoll()).toBeGreaterThan(59_000)
  })
})

describe.each(['memory', 'Redis'] as const)('L9: a session in %s', (kind) => {
  it('is extended by every kind of request, and expires without requests', async () => {
    const redis = kind === 'Redis' && tidy(await startRedis())
    const server = tidy(await startServer({ redis: redis && redis.url, timeout: 3000 }))
    const requests: object[] = [
      { __type: 'ping' },
      { __type: 'auth' },
      { __type: 'no such type' },
      { __type: 'subscribe' },
      { __type: 'subscribe', channel: channelName() },
      { __type: 'subscribe', channel: 'x'.repeat(600) },
      { __type: 'unsubscribe', channel: channelName() },
    ]
    const quiet = new LongPollPeer(server)
    await quiet.auth()
    const begun = Date.now()
    await Promise.all(
      requests.map(async (request) => {
        const peer = new LongPollPeer(server)
        await peer.auth()
        // This is longer than the life of a session (4 s), with fewer requests than `limits.requestsPerSecond` on any machine.
        while (Date.now() - begun < 6000) {
          await peer.post(request)
          await delay(100)
        }
        expect(await peer.post({ __type: 'ping' }), JSON.stringify(request)).toMatchObject({ status: 200 })
      }),
    )
    expect((await quiet.post({ __type: 'ping' })).status).toBe(401)
    expect((await server.broadcaster.stats()).connections).toBe(requests.length)
  })
})

it('L9: a session lives for timeout plus one second after a request, and at most for twice that time after a poll', async () => {
  const clock = stopClock()
  const server = tidy(await startServer({ timeout: 1000, pollTime: 999 }))
  const alice = new LongPollPeer(server)
  await alice.auth()
  clock.advance(1999)
  expect((await alice.post({ __type: 'ping' })).status).toBe(200)
  clock.advance(2001)
  expect((await alice.post({ __type: 'ping' })).status).toBe(401)
  const bob = new LongPollPeer(server)
  await bob.auth()
  expect((await bob.poll()).messages).toEqual([])
  clock.advance(1999)
  expect((await bob.poll()).messages).toEqual([])
  clock.advance(4001)
  expect((await bob.poll()).status).toBe(401)
  const carol = new LongPollPeer(server)
  await carol.auth()
  expect((await carol.poll()).messages).toEqual([])
  clock.advance(3999)
  expect((await carol.post({ __type: 'ping' })).status).toBe(200)
})

it('L9: a session that ends while canSubscribe decides is not subscribed, and the answer is 401', async () => {
  const clock = stopClock()
  let decide: ((answer: boolean) => void) | undefined
  const canSubscribe = () => new Promise<boolean>((resolve) => (decide = resolve))
  const server = tidy(await startServer({ timeout: 1000, canSubscribe }))
  const alice = new LongPollPeer(server)
  await alice.auth()
  const answer = alice.post({ __type: 'subscribe', channel: channelName() })
  await until('the question', () => decide)
  clock.advance(2001)
  decide!(true)
  expect(await answer).toMatchObject({ status: 401, messages: [{ __type: 'authError' }] })
})

it('L9: a session that ends while canSubscribe decides holds no channel for its next poll', async () => {
  const redis = tidy(await startRedis())
  let decide: ((answer: boolean) => void) | undefined
  const held = channelName()
  const canSubscribe = (_: object, channel: string) =>
    channel !== 'asked' || new Promise<boolean>((resolve) => (decide = resolve))
  const server = tidy(await startServer({ redis: redis.url, canSubscribe, limits: { channels: 1 } }))
  const alice = new LongPollPeer(server)
  await alice.auth()
  await alice.subscribe(held)
  const answer = alice.post({ __type: 'subscribe', channel: 'asked' })
  await until('the question', () => decide)
  const [key] = (await redis.cli('KEYS', 'bc:session:*')).split('\n')
  await redis.cli('DEL', key!)
  decide!(true)
  expect((await answer).status).toBe(401)
  const bob = new LongPollPeer(server)
  await bob.auth()
  expect((await bob.subscribe(channelName())).__type).toBe('subscribeOk')
})

describe.each(['memory', 'Redis'] as const)('L10: limits.connections: sessions in %s', (kind) => {
  it('are at most as many on all nodes together, and a session that ends makes room', async () => {
    const redis = kind === 'Redis' && tidy(await startRedis())
    const options = { redis: redis && redis.url, limits: { connections: 2 } }
    const server = tidy(await startServer({ ...options, canConnect: ({ user }) => ({ user }) }))
    const other = redis ? tidy(await startServer(options)) : server
    await new LongPollPeer(server).auth({ user: 'alice' })
    await new LongPollPeer(other).auth({ user: 'bob' })
    for (const node of [server, other]) {
      expect(await new LongPollPeer(node).post({ __type: 'auth' })).toMatchObject({
        status: 503,
        messages: [{ __type: 'serverError', reason: 'Node is full or draining' }],
      })
    }
    expect((await server.broadcaster.stats()).connections, 'nothing was created').toBe(2)
    await server.broadcaster.disconnect({ user: 'alice' })
    expect((await new LongPollPeer(server).post({ __type: 'auth' })).status).toBe(200)
    expect((await new LongPollPeer(server).post({ __type: 'auth' })).status).toBe(503)
  })
})
