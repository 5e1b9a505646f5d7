import { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { BEACONS_PER_MS } from '../support/beacons.ts'
import { waitingPoll } from '../support/barriers.ts'
import { signIn } from '../support/connect.ts'
import { LongPollPeer } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'
import type { WebSocketPeer } from '../support/webSocketPeer.ts'

const secret = 'what no publisher knows'

const start = async (redis: TestRedis, options: { secret?: string | string[] } = { secret }) =>
  tidy(
    await startServer({
      redis: redis.url,
      timeout: 10_000,
      canConnect: ({ user }) => ({ user }),
      ...options,
    }),
  )

/** Collects everything that is published, like a hostile publisher on the same Redis. */
async function listenIn(redis: TestRedis) {
  const ear = new Redis(redis.url)
  tidy({ close: () => ear.disconnect() })
  const heard: { channel: string; text: string }[] = []
  ear.on('pmessage', (_pattern, channel: string, text: string) => heard.push({ channel, text }))
  await ear.psubscribe('*')
  return {
    heard,
    find: async (part: string) => {
      await until(part, () => heard.some(({ text }) => text.includes(part)))
      return heard.findLast(({ text }) => text.includes(part))!
    },
  }
}

/** A WebSocket client of this user. */
const come = async (server: TestServer, user: string) =>
  (await signIn(server, { transport: 'websocket', auth: { user, __v: 1 } })) as WebSocketPeer

const refused = async (server: TestServer) => (await server.broadcaster.stats()).node.refusedControlMessages
const nodeChannel = async (server: TestServer) => `bc:node:${(await server.broadcaster.stats()).node.id}`

/** A node, and the message with which it has disconnected alice from all nodes. */
async function recordDisconnect() {
  const redis = tidy(await startRedis())
  const server = await start(redis)
  const ear = await listenIn(redis)
  await server.broadcaster.disconnect({ user: 'alice' })
  const { text } = await ear.find('"disconnect"')
  // Until its own message has arrived, the node also closes new connections. The subscription is confirmed after it.
  await (await come(server, 'bob')).subscribe(channelName())
  return { redis, server, text }
}

/** A node with a WebSocket client, a client that polls, and a hostile publisher. */
async function setUp(options?: { secret?: string | string[] }) {
  const redis = tidy(await startRedis())
  const server = await start(redis, options)
  const channel = channelName()
  const auth = { user: 'alice', __v: 1, __client: 'alice', __generation: 2 }
  const alice = await signIn(server, { transport: 'websocket', auth })
  const { position } = await alice.subscribe(channel)
  const bob = new LongPollPeer(server)
  await bob.auth({ user: 'bob', __v: 1, __client: 'bob', __generation: 2 })
  await bob.subscribe(channel)
  const ear = await listenIn(redis)
  const poll = await waitingPoll(bob)
  const keys = (await redis.cli('KEYS', 'bc:session:*')).split('\n')
  const session = keys[0]!.slice('bc:session:'.length)
  const poller = await redis.cli('HGET', keys[0]!, 'poller')
  const beacon = Number.parseInt((position as string).split('.')[0]!, 36)
  return {
    redis,
    server,
    channel,
    position: position as string,
    alice,
    bob,
    poll,
    ear,
    session,
    poller,
    beacon,
  }
}

type Scene = Awaited<ReturnType<typeof setUp>>
type Forgery = [type: string, fields: (scene: Scene) => Record<string, unknown>, isForNode?: boolean]

const forgeries: Forgery[] = [
  ['disconnect', () => ({ match: {} })],
  ['unsubscribe', ({ channel }) => ({ match: {}, channel })],
  ['fence', () => ({ client: 'alice', generation: 1000 })],
  ['fence', () => ({ client: 'bob', generation: 1000 })],
  ['endPoll', ({ session, poller }) => ({ session, poll: poller, seq: null }), true],
  ['endSession', ({ session }) => ({ session }), true],
  [
    'pollChannel',
    ({ session, poller, channel }) => ({ session, poll: poller, channel, position: null }),
    true,
  ],
  ['beacon', ({ beacon }) => ({ b: beacon + 3_600_000 * BEACONS_PER_MS })],
  ['beacon', ({ beacon }) => ({ b: beacon + 1 })],
  ['where', ({ channel, position }) => ({ id: 1, node: 'evil', channels: [[channel, position]] })],
  ['whereIs', () => ({ id: 1, node: 'evil', channels: [[0, '0.0', '0.0', false]] }), true],
  ['claim', ({ channel, position }) => ({ node: 'evil', upTo: position, channels: [[channel, position]] })],
  [
    'getPage',
    ({ channel, position }) => ({
      id: 1,
      node: 'evil',
      channel,
      after: position,
      before: position,
      bytes: 1000,
    }),
    true,
  ],
  ['page', () => ({ id: 1, start: '0.0', count: 1, needs: 0, entries: [['0.1', 'forged', 0]] }), true],
]

describe('with a secret', () => {
  it.each(forgeries)('a forged %s (%#) does nothing, signed or not', async (type, fields, isForNode) => {
    const scene = await setUp()
    const { redis, server, channel, position, alice, poll, ear } = scene
    const to = isForNode === true ? await nodeChannel(server) : 'broadcaster'
    const plain = JSON.stringify({ v: 1, type, ...fields(scene) })
    const before = await refused(server)
    const forged = `${plain.slice(0, -1)},"sig":"${Date.now().toString(36)}.AAAAAAAAAAA.1.${'A'.repeat(22)}"}`
    for (const text of [plain, forged]) await redis.cli('PUBLISH', to, text)
    await until('both to be ignored', async () => (await refused(server)) === before + 2)
    expect(ear.heard.filter(({ channel: name }) => name === 'bc:node:evil')).toEqual([])
    expect(server.logs.loud('A control message was ignored')).toHaveLength(1)
    await redis.cli('PUBLISH', channel, 'still here')
    expect(await alice.next()).toMatchObject({ __type: 'message', body: 'still here' })
    const { messages } = await poll.answer
    expect(messages).toMatchObject([{ __type: 'message', body: 'still here' }])
    const again = await come(server, 'carol')
    const subscribed = await again.subscribe(channel, { position })
    expect(subscribed, 'no number has been forged').toMatchObject({ __type: 'subscribeOk', recovered: true })
  })

  it('nodes accept the messages of each other: disconnect, unsubscribe and recovery work between them', async () => {
    const redis = tidy(await startRedis())
    const [here, there] = [await start(redis), await start(redis)]
    const channel = channelName()
    const alice = await come(here, 'alice')
    const { position } = await alice.subscribe(channel)
    await redis.cli('PUBLISH', channel, 'missed')
    await alice.next()
    const bob = await come(there, 'bob')
    const subscribed = await bob.subscribe(channel, { position })
    expect(subscribed).toMatchObject({ recovered: true, messages: [['missed', expect.any(String)]] })
    await there.broadcaster.unsubscribe({ user: 'alice' }, channel)
    expect(await alice.next()).toMatchObject({ __type: 'unsubscribed', channel })
    await here.broadcaster.disconnect({ user: 'bob' })
    expect((await bob.closed).code).toBe(4403)
    for (const server of [here, there]) expect(await refused(server)).toBe(0)
  })

  it('many nodes that send beacons at once agree on the positions', async () => {
    const redis = tidy(await startRedis())
    const nodes = await Promise.all(Array.from({ length: 5 }, () => start(redis)))
    const peers = await Promise.all(nodes.map((node) => come(node, 'x')))
    for (let round = 0; round < 10; round++) {
      const channel = channelName()
      await Promise.all(peers.map((peer) => peer.subscribe(channel)))
      await redis.cli('PUBLISH', channel, 'hello')
      const heard = await Promise.all(peers.map((peer) => peer.next()))
      for (const message of heard) expect(message, 'the same position everywhere').toEqual(heard[0])
    }
    for (const node of nodes) expect(await refused(node)).toBe(0)
  })

  it('a recorded message is not accepted again, also not on another channel', async () => {
    const { redis, server, ear, alice, channel } = await setUp()
    await server.broadcaster.disconnect({ user: 'nobody' })
    const { text } = await ear.find('"disconnect"')
    await alice.subscribe(channelName())
    const beacon = await ear.find('"b":')
    const before = await refused(server)
    await redis.cli('PUBLISH', 'broadcaster', text)
    await redis.cli('PUBLISH', 'broadcaster', text.replace('nobody', 'alice'))
    await redis.cli('PUBLISH', await nodeChannel(server), text)
    await redis.cli('PUBLISH', 'broadcaster', beacon.text)
    await until('all to be ignored', async () => (await refused(server)) === before + 4)
    await redis.cli('PUBLISH', channel, 'still here')
    expect(await alice.next()).toMatchObject({ body: 'still here' })
  })

  it('a message that is older than a minute is not accepted by a node that has not received it before', async () => {
    const { redis, text } = await recordDisconnect()
    const late = await start(redis)
    const alice = await come(late, 'alice')
    // The clock of the node moves forward by more than a minute, and the node assumes the same of the clock of Redis.
    const now = Date.now
    Date.now = () => now() + 61_000
    try {
      await redis.cli('PUBLISH', 'broadcaster', text)
      await until('it to be ignored', async () => (await refused(late)) === 1)
    } finally {
      Date.now = now
    }
    expect(alice.pending).toEqual([])
  })

  it('a beacon may be older than a minute, because the clock of Redis may jump', async () => {
    const redis = tidy(await startRedis())
    const server = await start(redis)
    const ear = await listenIn(redis)
    await (await come(server, 'alice')).subscribe(channelName())
    await server.broadcaster.disconnect({ user: 'nobody' })
    const [beacon, disconnect] = [await ear.find('"b":'), await ear.find('"disconnect"')]
    const late = await start(redis)
    const now = Date.now
    Date.now = () => now() + 61_000
    try {
      for (const { text } of [disconnect, beacon]) await redis.cli('PUBLISH', 'broadcaster', text)
      await until('the first to be ignored', async () => (await refused(late)) > 0)
      // The node has received the second one when it has received the beacon for this channel.
      await (await come(late, 'alice')).subscribe(channelName())
    } finally {
      Date.now = now
    }
    expect(await refused(late)).toBe(1)
  })

  it('a recorded message is not accepted on another channel by a node that has not received it', async () => {
    const { redis, text } = await recordDisconnect()
    const late = await start(redis)
    const alice = await come(late, 'alice')
    await redis.cli('PUBLISH', await nodeChannel(late), text)
    await until('it to be ignored', async () => (await refused(late)) === 1)
    expect(await alice.subscribe(channelName())).toMatchObject({ __type: 'subscribeOk' })
  })

  it('a recorded message is not accepted with another counter or time', async () => {
    const { redis, server, text } = await recordDisconnect()
    const alice = await come(server, 'alice')
    const [stamp, at, sender, counter] = /"sig":"(\w+)\.([\w-]+)\.(\w+)\./.exec(text)!
    const later = (Number.parseInt(at!, 36) + 1).toString(36)
    const stamps = [
      [at, sender, 'zzz'],
      [later, sender, counter],
    ]
    for (const other of stamps) {
      await redis.cli('PUBLISH', 'broadcaster', text.replace(stamp, `"sig":"${other.join('.')}.`))
    }
    await until('both to be ignored', async () => (await refused(server)) === 2)
    expect(await alice.subscribe(channelName())).toMatchObject({ __type: 'subscribeOk' })
  })

  it('a recorded message is not accepted after hundreds of others', async () => {
    const { redis, server, ear, alice, channel } = await setUp()
    await server.broadcaster.disconnect({ user: 'first' })
    const { text } = await ear.find('"first"')
    for (let i = 0; i < 300; i++) await server.broadcaster.disconnect({ user: `nobody ${i}` })
    const before = await refused(server)
    await redis.cli('PUBLISH', 'broadcaster', text)
    await until('it to be ignored', async () => (await refused(server)) === before + 1)
    await redis.cli('PUBLISH', channel, 'still here')
    expect(await alice.next()).toMatchObject({ body: 'still here' })
  })

  it('a forged revocation in Redis is not applied by a node that was disconnected', async () => {
    const redis = tidy(await startRedis())
    const server = await start(redis)
    const alice = await come(server, 'alice')
    const forged = JSON.stringify({ v: 1, type: 'disconnect', match: { user: 'alice' }, id: 'forged' })
    await redis.cli('ZADD', 'bc:revocations', String(Date.now()), forged)
    await redis.cli('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await until('it to be ignored', async () => (await refused(server)) === 1)
    expect(await alice.subscribe(channelName())).toMatchObject({ __type: 'subscribeOk' })
  })
})

describe('secrets', () => {
  it('can be changed in three steps, and all nodes accept the messages of each other all the time', async () => {
    const redis = tidy(await startRedis())
    const [older, newer] = ['an old secret of ours', 'a new secret of ours']
    const steps = [[older!], [older!, newer!], [newer!, older!], [newer!]]
    for (let i = 0; i + 1 < steps.length; i++) {
      const nodes = [await start(redis, { secret: steps[i]! }), await start(redis, { secret: steps[i + 1]! })]
      for (const [here, there] of [nodes, nodes.toReversed()]) {
        const alice = await come(here!, 'alice')
        await there!.broadcaster.disconnect({ user: 'alice' })
        expect((await alice.closed).code).toBe(4403)
      }
    }
  })

  it('that only some nodes have: all nodes accept their messages, and they accept only those of each other', async () => {
    const redis = tidy(await startRedis())
    const [without, withOne] = [await start(redis, {}), await start(redis)]
    const alice = await come(without, 'alice')
    const bob = await come(withOne, 'alice')
    await without.broadcaster.unsubscribe({ user: 'alice' }, 'news')
    await until('it to be ignored', async () => (await refused(withOne)) > 0)
    await withOne.broadcaster.disconnect({ user: 'alice' })
    for (const peer of [alice, bob]) expect((await peer.closed).code).toBe(4403)
  })
})
