import { broadcaster, type BroadcasterOptions } from '@broadcaster/server'
import { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { publishAndArrive, waitingPoll } from '../support/barriers.ts'
import { signIn } from '../support/connect.ts'
import { LongPollPeer } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { transports, type Transport } from '../support/subject.ts'
import { tidy } from '../support/tidy.ts'
import { until, within } from '../support/waiting.ts'
import { WebSocketPeer } from '../support/webSocketPeer.ts'

const redis = tidy(await startRedis({ args: ['--notify-keyspace-events', 'KEA'] }))

const canConnect: NonNullable<BroadcasterOptions['canConnect']> = ({ user }) => ({ user })

/** The ways to separate applications on one Redis without the option `controlChannel`. */
const pairs: [string, BroadcasterOptions, BroadcasterOptions][] = [
  ['a database', { redis: redis.url }, { redis: `${redis.url}/1` }],
  ['a database in the options', { redis: redis.url }, { redis: { port: redis.port, db: 2 } }],
  [
    'a database, with one for pubSub that both have,',
    { redis: `${redis.url}/3`, pubSub: redis.url },
    { redis: `${redis.url}/4`, pubSub: redis.url },
  ],
  ['one namespace', { redis: redis.url }, { redis: redis.url, controlNamespace: 'blog:' }],
  [
    'two namespaces',
    { redis: redis.url, controlNamespace: 'shop:' },
    { redis: redis.url, controlNamespace: 'blog:' },
  ],
]

const start = async (options: BroadcasterOptions) => tidy(await startServer({ canConnect, ...options }))

const user5 = (server: TestServer, transport: Transport, client: string) =>
  signIn(server, { transport, auth: { user: 5, __v: 1, __client: client, __generation: 1 } })

describe.each(pairs)('two applications, separated by %s', (_, first, second) => {
  it.each(transports)(
    'do not receive disconnect and unsubscribe of each other, over %s',
    async (transport) => {
      const [shop, blog] = [await start(first), await start(second)]
      const channel = channelName()
      const [alice, bob] = [await user5(shop, transport, 'alice'), await user5(blog, transport, 'bob')]
      for (const peer of [alice, bob]) await peer.subscribe(channel)
      await shop.broadcaster.unsubscribe({ user: 5 }, channel)
      await shop.broadcaster.disconnect({ user: 5 })
      // For the other application, this would be a newer connection of the same client.
      await signIn(shop, { transport, auth: { user: 6, __v: 1, __client: 'bob', __generation: 2 } })
      await blog.publish(channel, 'still here')
      expect(await bob.next()).toMatchObject({ __type: 'message', body: 'still here' })
    },
  )

  it('number messages with their own beacons', async () => {
    const [shop, blog] = [await start(first), await start(second)]
    const channel = channelName()
    const peers = await Promise.all(
      [shop, blog].map(
        (server) => signIn(server, { transport: 'websocket', auth: { __v: 1 } }) as Promise<WebSocketPeer>,
      ),
    )
    for (const peer of peers) await peer.subscribe(channel)
    for (let i = 0; i < 30; i++) {
      // Every new channel causes a beacon.
      for (const peer of peers) await peer.subscribe(channelName())
      await shop.publish(channel, String(i))
      for (const peer of peers) expect(await peer.next()).toMatchObject({ body: String(i) })
    }
    for (const { logs } of [shop, blog]) expect(logs.loud()).toEqual([])
  })

  it('are two nodes of one application if they have the same options', async () => {
    const [here, there] = [await start(second), await start(second)]
    const bob = (await user5(there, 'websocket', 'bob')) as WebSocketPeer
    await here.broadcaster.disconnect({ user: 5 })
    expect(await within(bob.closed, 'bob to be disconnected')).toMatchObject({ code: 4403 })
  })
})

describe('the control channel', () => {
  const channelsOf = async (options: BroadcasterOptions) => {
    const own = tidy(await startRedis())
    const [target] = [options.redis ?? '/0'].map((path) => `${own.url}${path as string}`)
    tidy(await startServer({ ...options, redis: target! }))
    return (await own.cli('PUBSUB', 'CHANNELS')).split('\n').filter((name) => !/node:|members:/.test(name))
  }

  it.each([
    ['broadcaster by default', {}, 'broadcaster'],
    ['another one in another database', { redis: '/4' }, 'bc:control:4'],
    ['another one in another namespace', { controlNamespace: 'shop:' }, 'shop:control:0'],
    ['the value of the option', { redis: '/4', controlChannel: 'mine' }, 'mine'],
  ])('is %s', async (_, options, expected) => {
    expect(await channelsOf(options)).toEqual([expected])
  })

  it('can differ from that of older nodes, and then a client that comes from one is told of a gap', async () => {
    // The older nodes had the same channel for all databases.
    const older = await start({ redis: `${redis.url}/5`, controlChannel: 'broadcaster' })
    const newer = await start({ redis: `${redis.url}/5` })
    const channel = channelName()
    const alice = (await user5(older, 'websocket', 'alice')) as WebSocketPeer
    const { position } = await alice.subscribe(channel)
    const witness = await signIn(newer, { transport: 'websocket' })
    await witness.subscribe(channel)
    await alice.drop()
    await newer.publish(channel, 'missed')
    await witness.next()
    const again = await user5(newer, 'websocket', 'alice again')
    expect(await again.subscribe(channel, { position })).toMatchObject({
      recovered: false,
      reason: 'broker',
    })
  })
})

describe('keyspace notifications', () => {
  const names = (server: TestServer, redisServer: TestRedis) => [
    '__keyevent@0__:hset',
    '__keyspace@0__:bc:sessions',
    '__keyevent@12__:expired',
    '__subkeyevent@0__:hset',
    '__redis__:invalidate',
    '__sentinel__:hello',
    'bc:',
    'bc:sessions',
    'bc:node:',
    `bc:${String(redisServer.port)}`,
    ...server.logs.loud(),
  ]

  it.each(transports)('S5: and our own channels are refused to clients, over %s', async (transport) => {
    let asked = 0
    const server = await start({ redis: redis.url, canSubscribe: () => (asked += 1) > 0 })
    const mallory = await signIn(server, { transport })
    for (const channel of names(server, redis)) {
      expect(await mallory.subscribe(channel)).toEqual({
        __type: 'subscribeError',
        channel,
        reason: 'Channel refused',
      })
    }
    expect(asked).toBe(0)
    for (const channel of ['__keyevent', '__proto__', 'b', 'BC:', '_keyevent@0__:hset', 'x__redis__:']) {
      expect(await mallory.subscribe(channel)).toMatchObject({ __type: 'subscribeOk', channel })
    }
  })

  it('Redis never gets a token: not in a key, not in a value, not in a control message', async () => {
    const [here, there] = [await start({ redis: redis.url }), await start({ redis: redis.url })]
    const spy = new Redis(redis.url)
    const monitor = await spy.monitor()
    tidy({ close: () => void (spy.disconnect(), monitor.disconnect()) })
    const said: string[] = []
    monitor.on('monitor', (_time: string, args: string[]) => said.push(args.join(' ')))

    const channel = channelName()
    const alice = new LongPollPeer(here)
    await alice.auth({ user: 5, __v: 1, __client: 'alice', __generation: 1 })
    const { token } = alice
    await alice.subscribe(channel)
    await waitingPoll(alice)
    // The session moves to the other node and back, then to a new session.
    const elsewhere = { __token: token, __type: 'poll', seq: 'elsewhere' }
    await publishAndArrive(here, channel, ['one'])
    expect((await new LongPollPeer(there).post(elsewhere)).messages).toHaveLength(1)
    const again = await signIn(here, { transport: 'websocket', auth: { user: 5, __previous: token } })
    await again.subscribe(channel)
    await here.broadcaster.disconnect({ user: 5 })
    await until('the session to be ended', async () => (await alice.poll()).status === 401)

    await here.publish(channel, 'the end')
    await until('all to be heard', () => said.some((line) => line.includes('the end')))
    expect(said.filter((line) => line.includes('session')).length).toBeGreaterThan(3)
    expect(said.filter((line) => line.includes(token))).toEqual([])
    expect(await redis.cli('KEYS', `*${token}*`)).toBe('')
  })
})

it('finds the database in every form of the options that ioredis accepts', async () => {
  const own = tidy(await startRedis())
  const instance = new Redis(own.port, { lazyConnect: true, db: 6 })
  for (const target of [`${own.url}/6`, `${own.url}?db=6`, { port: own.port, db: 6 }, instance]) {
    const live = broadcaster({ redis: target })
    await live.ready()
    expect(await own.cli('PUBSUB', 'CHANNELS', 'bc:control:*')).toBe('bc:control:6')
    await live.close()
  }
})
