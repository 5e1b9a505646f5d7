import { describe, expect, it } from 'vitest'
import { BEACONS_PER_MS, beaconAt, timeOfBeacon } from '../support/beacons.ts'
import { signIn } from '../support/connect.ts'
import { channelName } from '../support/names.ts'
import { startNodeProcess } from '../support/nodeProcess.ts'
import { startRedis } from '../support/redis.ts'
import { startNodes, startServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'
import { WebSocketPeer } from '../support/webSocketPeer.ts'

const DAY = 86_400_000
const LAST = Number.MAX_SAFE_INTEGER

describe('publish()', () => {
  it.each([
    ['the control channel', 'broadcaster', {}],
    ['a control channel with another name', 'mine', { controlChannel: 'mine' }],
    ["a node's channel", 'bc:node:5', {}],
    ['a channel with the prefix of the namespace', 'app:x', { controlNamespace: 'app:' }],
    ['a channel of Redis itself', '__keyevent@0__:set', {}],
    ['a channel of Sentinel', '__sentinel__:hello', {}],
  ])('refuses %s', async (_, channel, options) => {
    const redis = tidy(await startRedis())
    for (const server of [
      tidy(await startServer(options)),
      tidy(await startServer({ redis: redis.url, ...options })),
    ]) {
      const match = { v: 1, type: 'disconnect', match: {} }
      const alice = await signIn(server, { transport: 'websocket' })
      await expect(server.broadcaster.publish(channel, match)).rejects.toMatchObject({
        code: 'invalidOption',
        message: expect.stringContaining('reserved'),
      })
      await alice.hearsNothing()
    }
  })

  it('accepts channels with similar names', async () => {
    const server = tidy(await startServer())
    const alice = await signIn(server, { transport: 'websocket' })
    for (const channel of ['broadcaster:5', 'bc', 'b:c', '__proto__', '__keys', 'Broadcaster']) {
      await alice.subscribe(channel)
      await server.broadcaster.publish(channel, 'hello')
      expect(await alice.next()).toMatchObject({ channel, body: 'hello' })
    }
  })
})

describe('a control message with several others', () => {
  it('has none of its own type inside, so it can not be nested without end', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(await startServer({ redis: redis.url }))
    const { id } = (await server.broadcaster.stats()).node
    const send = (message: object) =>
      redis.cli('PUBLISH', `bc:node:${id}`, JSON.stringify({ v: 1, ...message }))
    const several = (message: object) => ({ type: 'several', messages: [message] })
    const channel = channelName()
    const alice = await WebSocketPeer.connect(server)
    await alice.auth({})
    await alice.subscribe(channel)
    await send(several(several({ type: 'unsubscribe', match: {}, channel })))
    await send({ type: 'several', messages: { length: 1 } })
    await send({ type: 'several', messages: [null, 5, 'x', {}] })
    await server.publish(channel, 'still there')
    expect(await alice.next()).toMatchObject({ body: 'still there' })
    await send(several({ type: 'disconnect', match: {} }))
    expect((await alice.closed).code).toBe(4403)
  })
})

describe('a beacon that can not be correct', () => {
  it.each([
    ['near 2^53', LAST],
    ['a week ahead', beaconAt(Date.now() + 7 * DAY)],
  ])('%s is ignored and logged once, running nodes continue, and new nodes start', async (_, n) => {
    const redis = tidy(await startRedis())
    const cluster = tidy(await startNodes(2, { redis: redis.url }))
    const channel = channelName()
    const peers = await Promise.all(
      cluster.nodes.map((node) => signIn(node, { transport: 'websocket', auth: { __v: 1 } })),
    )
    for (const peer of peers) await peer.subscribe(channel)
    for (let i = 0; i < 3; i++) {
      await redis.cli('PUBLISH', 'broadcaster', JSON.stringify({ v: 1, b: n - i }))
    }
    // The nodes have asked for correct beacons. If the key were lost meanwhile, they could be given the same number twice.
    for (const { logs } of cluster.nodes) {
      await until('the log', () => logs.loud().length > 0)
    }
    for (const peer of peers) await peer.subscribe(channelName())
    const last = async () => timeOfBeacon(Number(await redis.cli('GET', 'bc:beaconNumber')))
    await until('the clock to be ahead of the last beacon', async () => (await last()) < Date.now())
    // Old versions accepted such a number and stored it.
    await redis.cli('SET', 'bc:beaconNumber', String(n))
    const fresh = tidy(await startServer({ redis: redis.url }))
    peers.push(await signIn(fresh, { transport: 'websocket', auth: { __v: 1 } }))
    for (const peer of peers) {
      expect(await peer.subscribe(channelName())).toMatchObject({ __type: 'subscribeOk' })
    }
    await peers[2]!.subscribe(channel)
    await cluster.publish(channel, 'hello')
    const heard = await Promise.all(peers.map((peer) => peer.next()))
    expect(heard[0]).toMatchObject({ __type: 'message', body: 'hello' })
    for (const message of heard) expect(message, 'the same position everywhere, and no gap').toEqual(heard[0])
    const healed = Number(await redis.cli('GET', 'bc:beaconNumber'))
    expect(Math.abs(timeOfBeacon(healed) - Date.now())).toBeLessThan(DAY)
    for (const { logs } of cluster.nodes) {
      expect(logs.loud()).toEqual([expect.stringContaining('An implausible beacon')])
    }
  })

  it.each(['nan', 'inf', '-inf', '1e300', '-5', 'nonsense', ''])(
    'in Redis (%j) is replaced by a correct one',
    async (value) => {
      const redis = tidy(await startRedis())
      await redis.cli('SET', 'bc:beaconNumber', value)
      const server = tidy(await startServer({ redis: redis.url }))
      const alice = await signIn(server, { transport: 'websocket' })
      expect(await alice.subscribe(channelName())).toMatchObject({ __type: 'subscribeOk' })
    },
  )

  it('in Redis, of another type, is replaced by a correct one', async () => {
    const redis = tidy(await startRedis())
    await redis.cli('LPUSH', 'bc:beaconNumber', 'x')
    const server = tidy(await startServer({ redis: redis.url }))
    const alice = await signIn(server, { transport: 'websocket' })
    expect(await alice.subscribe(channelName())).toMatchObject({ __type: 'subscribeOk' })
  })
})

describe('a beacon that may be correct', () => {
  it('is accepted half a day ahead of the clock, and numbers never decrease', async () => {
    const redis = tidy(await startRedis())
    const ahead = beaconAt(Date.now() + DAY / 2)
    await redis.cli('SET', 'bc:beaconNumber', String(ahead))
    const server = tidy(await startServer({ redis: redis.url }))
    const alice = await signIn(server, { transport: 'websocket', auth: { __v: 1 } })
    await alice.subscribe(channelName())
    expect(Number(await redis.cli('GET', 'bc:beaconNumber'))).toBeGreaterThan(ahead)
    expect(server.logs.loud()).toEqual([])
  })

  it('is accepted if the clock of the node is a week behind that of Redis', async () => {
    const redis = tidy(await startRedis())
    const node = await startNodeProcess({ redis: redis.url, clockMs: -7 * DAY })
    tidy({ stop: () => node.stop() })
    const server = tidy(await startServer({ redis: redis.url }))
    const alice = await signIn(node, { transport: 'websocket', auth: { __v: 1 } })
    const bob = await signIn(server, { transport: 'websocket', auth: { __v: 1 } })
    const channel = channelName()
    for (const peer of [alice, bob]) {
      expect(await peer.subscribe(channel)).toMatchObject({ __type: 'subscribeOk' })
    }
    await server.publish(channel, 'hello')
    expect(await alice.next()).toEqual(await bob.next())
  })

  it('may be lower when those before it were days ahead: clients are told of a gap, and everything works', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(await startServer({ redis: redis.url }))
    const channel = channelName()
    const alice = await signIn(server, { transport: 'websocket', auth: { __v: 1 } })
    const { position } = await alice.subscribe(channel)
    const [beacon] = (position as string).split('.')
    // The same run, a day and a half ahead, as if the clock of Redis had been wrong.
    const n = Number.parseInt(beacon!, 36) + 1.5 * DAY * BEACONS_PER_MS
    await redis.cli('PUBLISH', 'broadcaster', JSON.stringify({ v: 1, b: n }))
    const bob = await signIn(server, { transport: 'websocket', auth: { __v: 1 } })
    expect(await bob.subscribe(channelName())).toMatchObject({ __type: 'subscribeOk' })
    await until('the numbers to be of the clock again', async () => {
      const answer = await bob.subscribe(channelName())
      const [now] = (answer['position'] as string).split('.')
      return Number.parseInt(now!, 36) < n
    })
    await server.publish(channel, 'hello')
    const heard = [await alice.next()]
    while (heard.at(-1)!['body'] !== 'hello') heard.push(await alice.next())
    expect(heard.slice(0, -1).every(({ __type }) => __type === 'gap')).toBe(true)
  })
})
