import type { BroadcasterOptions } from '@broadcaster/server'
import { describe, expect, it } from 'vitest'
import { waitingPoll } from '../support/barriers.ts'
import { signIn } from '../support/connect.ts'
import { LongPollPeer } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startRedis } from '../support/redis.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { tcpProxy, type TcpProxy } from '../support/tcpProxy.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'
import type { WebSocketPeer } from '../support/webSocketPeer.ts'

/** Two nodes. The subscriptions of the second one go through a proxy. */
async function setUp(options: BroadcasterOptions = {}) {
  const redis = tidy(await startRedis())
  const proxy = tidy(await tcpProxy(redis.port))
  const common = { redis: redis.url, canConnect: ({ user }: { user?: unknown }) => ({ user }), ...options }
  const prompt = tidy(await startServer(common))
  const late = tidy(await startServer({ ...common, pubSub: `redis://${proxy.address}` }))
  return { redis, proxy, prompt, late }
}

const come = async (server: TestServer, user: string) =>
  (await signIn(server, { transport: 'websocket', auth: { user, __v: 1 } })) as WebSocketPeer

const health = async (server: TestServer) => (await fetch(`${server.url}/health`)).status
const isUnhealthy = (server: TestServer) => until('health 503', async () => (await health(server)) === 503)
const isHealthy = (server: TestServer) => until('health 200', async () => (await health(server)) === 200)

const faults: [what: string, begin: (proxy: TcpProxy) => void, end: (proxy: TcpProxy) => void][] = [
  [
    'killed',
    (proxy) => {
      proxy.refuse()
      proxy.cut()
    },
    (proxy) => proxy.resume(),
  ],
  [
    'frozen',
    (proxy) => {
      proxy.swallow()
      proxy.stall()
    },
    (proxy) => {
      proxy.swallow()
      proxy.resume()
    },
  ],
]

describe.each(faults)(
  'a node whose subscriptions are %s during a revocation on another node',
  (_, begin, end) => {
    it.each([
      ['without a secret', {}],
      ['with a secret', { secret: 'a secret of the nodes' }],
    ])('disconnects its own clients when it is back, %s', async (__, options) => {
      const { proxy, prompt, late } = await setUp(options)
      const [alice, bob] = [await come(late, 'alice'), await come(late, 'bob')]
      begin(proxy)
      await isUnhealthy(late)
      await prompt.broadcaster.disconnect({ user: 'alice' })
      end(proxy)
      expect((await alice.closed).code).toBe(4403)
      await isHealthy(late)
      expect(await bob.subscribe(channelName())).toMatchObject({ __type: 'subscribeOk' })
      expect(late.logs.loud('Revocations were applied late')).toEqual([expect.stringContaining('"missed":1')])
    })

    it('takes the channel from its clients, and ends the polls that still have it', async () => {
      const { redis, proxy, prompt, late } = await setUp({ timeout: 60_000 })
      const channel = channelName()
      const alice = await come(late, 'alice')
      await alice.subscribe(channel)
      const bob = new LongPollPeer(late)
      await bob.auth({ user: 'alice', __v: 1 })
      await bob.subscribe(channel)
      const poll = await waitingPoll(bob)
      begin(proxy)
      await isUnhealthy(late)
      await prompt.broadcaster.unsubscribe({ user: 'alice' }, channel)
      end(proxy)
      // There may be a gap before it.
      const told = (await poll.answer).messages
      while (told.at(-1)?.__type !== 'unsubscribed') told.push(...(await bob.poll()).messages)
      expect(told.at(-1)).toMatchObject({ __type: 'unsubscribed', channel })
      const heard = [await alice.next()]
      while (heard.at(-1)!.__type !== 'unsubscribed') heard.push(await alice.next())
      await isHealthy(late)
      await redis.cli('PUBLISH', channel, 'not for alice')
      await alice.hearsNothing()
    })
  },
)

it.each([
  ['disconnect', 4403],
  ['reauthorize', 4411],
] as const)(
  'a node whose subscriptions do not work yet during a %s() on another node applies it to the clients that have come to it',
  async (method, code) => {
    const redis = tidy(await startRedis())
    const proxy = tidy(await tcpProxy(redis.port))
    const canConnect = ({ user }: { user?: unknown }) => ({ user })
    const prompt = tidy(await startServer({ redis: redis.url, canConnect }))
    proxy.stall()
    const pubSub = `redis://${proxy.address}`
    const young = tidy(await startServer({ redis: redis.url, pubSub, canConnect }, { ready: false }))
    const [alice, bob] = [await come(young, 'alice'), await come(young, 'bob')]
    await prompt.broadcaster[method]({ user: 'alice' })
    proxy.resume()
    expect((await alice.closed).code).toBe(code)
    await isHealthy(young)
    expect(await bob.subscribe(channelName())).toMatchObject({ __type: 'subscribeOk' })
  },
)

describe('a node that has received a revocation', () => {
  it('does not apply it again to a client that has come back since', async () => {
    const { proxy, prompt, late } = await setUp()
    const before = await come(late, 'alice')
    await prompt.broadcaster.disconnect({ user: 'alice' })
    expect((await before.closed).code).toBe(4403)
    const alice = await come(late, 'alice')
    const bob = await come(late, 'bob')
    proxy.refuse()
    proxy.cut()
    await isUnhealthy(late)
    // The test waits until this second revocation is applied.
    await prompt.broadcaster.disconnect({ user: 'bob' })
    proxy.resume()
    expect((await bob.closed).code).toBe(4403)
    expect(await alice.subscribe(channelName())).toMatchObject({ __type: 'subscribeOk' })
  })

  it('A7: asks its own clients for credentials again when it is back', async () => {
    const { proxy, prompt, late } = await setUp()
    const alice = await come(late, 'alice')
    proxy.refuse()
    proxy.cut()
    await isUnhealthy(late)
    await prompt.broadcaster.reauthorize({ user: 'alice' })
    proxy.resume()
    expect((await alice.closed).code).toBe(4411)
  })

  it('keeps it in Redis for ten minutes, and keeps none for ever', async () => {
    const { redis, prompt } = await setUp()
    for (let i = 0; i < 3; i++) await prompt.broadcaster.disconnect({ user: i })
    expect(await redis.cli('ZCARD', 'bc:revocations')).toBe('3')
    expect(Number(await redis.cli('PTTL', 'bc:revocations'))).toBeGreaterThan(500_000)
    // This makes the others old.
    for (const text of (await redis.cli('ZRANGE', 'bc:revocations', '0', '-1')).split('\n'))
      await redis.cli('ZADD', 'bc:revocations', '1', text)
    await prompt.broadcaster.disconnect({ user: 4 })
    expect(await redis.cli('ZCARD', 'bc:revocations')).toBe('1')
  })
})
