import { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { beaconAt } from '../support/beacons.ts'
import { channelName } from '../support/names.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { transports } from '../support/subject.ts'
import { tcpProxy } from '../support/tcpProxy.ts'
import { tidy } from '../support/tidy.ts'
import { sleep, until } from '../support/waiting.ts'
import { signIn } from '../support/connect.ts'
import { numbers, Visitor } from './visitor.ts'

const health = async (server: TestServer) => (await fetch(`${server.url}/health`)).status
const isHealthy = (server: TestServer) => until('health 200', async () => (await health(server)) === 200)
const isUnhealthy = (server: TestServer) => until('health 503', async () => (await health(server)) === 503)

function tidyClient(client: Redis): Redis {
  tidy({ close: async () => client.disconnect() })
  return client
}

/** Blocks the event loop of this process, and so of all its nodes. */
function blockFor(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}

/** A node whose connection to Redis can be broken, and one whose connection stays. */
async function start(redis: TestRedis) {
  const link = tidy(await tcpProxy(redis.port))
  const broken = tidy(await startServer({ redis: redis.url, pubSub: `redis://${link.address}` }))
  const whole = tidy(await startServer({ redis: redis.url }))
  return { link, broken, whole }
}

describe.each(transports)('a node whose connection to Redis breaks, over %s', (mode) => {
  it('R5: recovers the missed messages from a node that stayed connected, and no client is told of a gap', async () => {
    const { link, broken, whole } = await start(tidy(await startRedis()))
    const channel = channelName()
    const alice = await Visitor.come(broken.url, channel, { mode })
    const bob = await Visitor.come(whole.url, channel, { mode })
    let count = 0
    for (let round = 0; round < 3; round++) {
      await whole.publish(channel, String(++count))
      await alice.hears(String(count))
      link.refuse()
      link.cut()
      await isUnhealthy(broken)
      for (let i = 0; i < 100; i++) await whole.publish(channel, String(++count))
      await bob.hears(String(count))
      link.resume()
      expect(await alice.hears(String(count))).toEqual(numbers(count))
    }
    expect(alice.positions, 'and positions are the same').toEqual(bob.positions)
  })

  it('R5, M1: recovers them each time, while messages are published', async () => {
    const redis = tidy(await startRedis())
    const { link, broken, whole } = await start(redis)
    const channel = channelName()
    const alice = await Visitor.come(broken.url, channel, { mode })
    const bob = await Visitor.come(whole.url, channel, { mode })
    let count = 0
    let isDone = false
    const publishing = (async () => {
      while (!isDone) {
        await whole.publish(channel, String(++count))
        await sleep(1)
      }
    })()
    // With a message, both nodes know where the channel's log of the other one begins.
    await until('the first message', () => alice.heard.length > 0)
    for (let round = 0; round < 8; round++) {
      link.cut()
      await until('something new', async () => {
        const before = alice.heard.length
        await sleep(20)
        return alice.heard.length > before
      })
    }
    isDone = true
    await publishing
    expect(await alice.hears(String(count))).toEqual(numbers(count))
    expect(await bob.hears(String(count))).toEqual(numbers(count))
  })
})

describe.each(transports)('a node whose connection to Redis breaks, over %s, and that', (mode) => {
  it('R5: is blocked while other nodes answer recovers the missed messages all the same', async () => {
    const redis = tidy(await startRedis())
    const { link, broken, whole } = await start(redis)
    const channel = channelName()
    const alice = await Visitor.come(broken.url, channel, { mode })
    await Visitor.come(whole.url, channel, { mode })
    await whole.publish(channel, '1')
    await alice.hears('1')
    link.refuse()
    link.cut()
    await isUnhealthy(broken)
    await whole.publish(channel, '2')
    const listener = tidyClient(new Redis(redis.url))
    await listener.subscribe('broadcaster')
    const asked = new Promise<void>((resolve) => {
      listener.on('message', (_, text: string) => {
        if (!text.includes('"where"')) return
        blockFor(2500)
        resolve()
      })
    })
    link.resume()
    await asked
    expect(await alice.hears('2')).toEqual(['1', '2'])
  })

  it('R5: can receive before it can send recovers the missed messages when it can send', async () => {
    const redis = tidy(await startRedis())
    const receiving = tidy(await tcpProxy(redis.port))
    const sending = tidy(await tcpProxy(redis.port))
    const target = tidyClient(new Redis(redis.url))
    // Only the connection for commands has automatic pipelining.
    const duplicate = (options: { readonly enableAutoPipelining?: boolean }) =>
      new Redis({ ...options, port: (options.enableAutoPipelining ? sending : receiving).port })
    Object.assign(target, { duplicate })
    const broken = tidy(await startServer({ redis: redis.url, pubSub: target }))
    const whole = tidy(await startServer({ redis: redis.url }))
    const channel = channelName()
    const alice = await Visitor.come(broken.url, channel, { mode })
    await Visitor.come(whole.url, channel, { mode })
    await whole.publish(channel, '1')
    await alice.hears('1')
    for (const link of [receiving, sending]) {
      link.refuse()
      link.cut()
    }
    await whole.publish(channel, '2')
    // From now on commands no longer wait for a new connection.
    await expect(broken.broadcaster.publish(channel, 'not sent')).rejects.toThrow('no connection')
    receiving.resume()
    await until('subscribed', async () => (await redis.cli('PUBSUB', 'NUMSUB', channel)) === `${channel}\n2`)
    // A new channel makes the other node send a beacon, from which the broken one counts. So it asks for what it missed.
    await Visitor.come(whole.url, channelName(), { mode })
    await whole.publish(channel, '3')
    sending.resume()
    expect(await alice.hears('3')).toEqual(['1', '2', '3'])
  })
})

describe('WebSocket clients of the original on a node whose connection to Redis breaks', () => {
  it('R5: stay connected and miss no message if another node stayed connected', async () => {
    const { link, broken, whole } = await start(tidy(await startRedis()))
    const channel = channelName()
    const alice = await signIn(broken, { transport: 'websocket' })
    const bob = await signIn(whole, { transport: 'websocket' })
    await alice.subscribe(channel)
    await bob.subscribe(channel)
    // With a message that both have, both nodes know where the channel's log of the other one begins.
    await whole.publish(channel, 'first')
    for (const peer of [alice, bob]) expect(await peer.bodies(channel, 1)).toEqual(['first'])
    for (let round = 0; round < 3; round++) {
      link.refuse()
      link.cut()
      await isUnhealthy(broken)
      // In the second round nothing is published meanwhile.
      const bodies = round === 1 ? [] : ['a', 'b', 'c'].map((body) => `${round}${body}`)
      for (const body of bodies) await whole.publish(channel, body)
      expect(await bob.bodies(channel, bodies.length)).toEqual(bodies)
      link.resume()
      await isHealthy(broken)
      expect(await alice.bodies(channel, bodies.length)).toEqual(bodies)
    }
    await alice.hearsNothing()
  })
})

describe.each(transports)('messages that no node received, over %s', (mode) => {
  it('R5: are a gap with "broker" on a single node whose subscriber connection was killed', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(await startServer({ redis: redis.url }))
    const channel = channelName()
    const alice = await Visitor.come(server.url, channel, { mode })
    await server.publish(channel, '1')
    await alice.hears('1')
    await redis.cli('CLIENT', 'KILL', 'TYPE', 'pubsub')
    expect(await alice.hears('gap: broker')).toEqual(['1', 'gap: broker'])
    await server.publish(channel, '2')
    expect(await alice.hears('2')).toEqual(['1', 'gap: broker', '2'])
  })

  it('R5: are a gap for every client on every node after a restart of Redis, and the clients continue', async () => {
    const redis = tidy(await startRedis())
    const nodes = [
      tidy(await startServer({ redis: redis.url })),
      tidy(await startServer({ redis: redis.url })),
    ]
    const channel = channelName()
    const visitors = await Promise.all(nodes.map(({ url }) => Visitor.come(url, channel, { mode })))
    await nodes[0]!.publish(channel, '1')
    for (const visitor of visitors) await visitor.hears('1')
    await redis.stop()
    for (const node of nodes) await isUnhealthy(node)
    await expect(nodes[0]!.broadcaster.publish(channel, 'lost')).rejects.toMatchObject({
      code: 'brokerUnavailable',
    })
    await redis.start()
    for (const visitor of visitors) await visitor.hears('gap: broker')
    await isHealthy(nodes[1]!)
    await nodes[1]!.broadcaster.publish(channel, '2')
    for (const visitor of visitors) expect(await visitor.hears('2')).toEqual(['1', 'gap: broker', '2'])
    expect(visitors[0]!.positions.at(-1)).toBe(visitors[1]!.positions.at(-1))
  })
})

describe('positions after Redis has restarted without its beacon', () => {
  it('R8: never decrease, and are the same on all nodes, also on new ones', async () => {
    const redis = tidy(await startRedis())
    // The beacons are ahead of the clock. So after the restart, only the nodes can prevent that they decrease.
    await redis.cli('SET', 'bc:beaconNumber', String(beaconAt(Date.now() + 43_200_000)))
    const old = tidy(await startServer({ redis: redis.url }))
    const channel = channelName()
    const come = (server: TestServer) => signIn(server, { transport: 'websocket', auth: { __v: 1 } })
    const alice = await come(old)
    await alice.subscribe(channel)
    const before: unknown[] = []
    for (const body of numbers(3)) {
      await old.publish(channel, body)
      before.push((await alice.next())['position'])
    }
    await redis.stop()
    await isUnhealthy(old)
    await redis.start()
    const young = tidy(await startServer({ redis: redis.url }))
    for (const server of [old, young]) await isHealthy(server)
    const bob = await come(young)
    await bob.subscribe(channel)
    // The nodes have agreed on the beacon when both give the same position.
    const after = await until('the nodes to agree', async () => {
      await old.publish(channel, 'anyone there?')
      const heard = [await nextMessage(alice), await nextMessage(bob)]
      return heard[0]!['position'] === heard[1]!['position'] && heard[0]!['position']
    })
    expect(before).not.toContain(after)
    for (const body of numbers(5)) {
      await old.publish(channel, body)
      const [here, there] = [await nextMessage(alice), await nextMessage(bob)]
      expect(here).toEqual(there)
      expect(before).not.toContain(here['position'])
    }
    for (const position of before) {
      const late = await come(young)
      const answer = await late.subscribe(channel, { position })
      expect(answer, 'the log does not reach back before the restart').toMatchObject({
        recovered: false,
      })
      await late.close()
    }
  })

  it('R5, R8: are a gap if nodes have numbered messages differently meanwhile', async () => {
    const redis = tidy(await startRedis())
    await redis.cli('SET', 'bc:beaconNumber', String(beaconAt(Date.now() + 43_200_000)))
    const link = tidy(await tcpProxy(redis.port))
    const old = tidy(await startServer({ redis: redis.url, pubSub: `redis://${link.address}` }))
    const channel = channelName()
    const alice = await Visitor.come(old.url, channel, { mode: 'websocket' })
    await old.publish(channel, '1')
    await alice.hears('1')
    // The clock is half a day behind the last number. The old node notices it later than the young one numbers messages.
    await redis.cli('DEL', 'bc:beaconNumber')
    link.stall('down')
    const young = tidy(await startServer({ redis: redis.url }))
    const bob = await Visitor.come(young.url, channel, { mode: 'websocket' })
    for (const body of ['2', '3']) await young.publish(channel, body)
    await bob.hears('3')
    link.resume()
    await alice.hears('gap: broker')
    await bob.hears('gap: broker')
    await young.publish(channel, '4')
    expect(await alice.hears('4')).toEqual(['1', 'gap: broker', '4'])
    expect(await bob.hears('4')).toEqual(['2', '3', 'gap: broker', '4'])
    expect(alice.positions.at(-1)).toBe(bob.positions.at(-1))
    for (const server of [old, young]) {
      const carol = await signIn(server, { transport: 'websocket', auth: { __v: 1 } })
      for (const position of [alice.positions[0], bob.positions[0]]) {
        expect(await carol.subscribe(channel, { position })).toMatchObject({ recovered: false })
        await carol.unsubscribe(channel)
      }
    }
  })

  it('R5, R8: are a gap if nodes have numbered messages differently, and those that knew the last number are gone', async () => {
    const redis = tidy(await startRedis())
    const aheadUntil = Date.now() + 1500
    await redis.cli('SET', 'bc:beaconNumber', String(beaconAt(aheadUntil)))
    const old = await startServer({ redis: redis.url })
    const channel = channelName()
    const alice = await signIn(old, { transport: 'websocket', auth: { __v: 1 } })
    const { position } = await alice.subscribe(channel)
    const place = { url: old.url, publish: old.publish }
    const session = await signIn(place, { transport: 'longpoll', auth: { __v: 1 } })
    await session.subscribe(channel)
    await old.close()
    await redis.cli('DEL', 'bc:beaconNumber')
    const young = tidy(await startServer({ redis: redis.url }))
    const bob = await Visitor.come(young.url, channel, { mode: 'websocket' })
    await young.publish(channel, '1')
    await bob.hears('1')
    const comeBack = async (server: TestServer, channels: number) => {
      const carol = await signIn(server, { transport: 'websocket', auth: { __v: 1 } })
      for (let i = 0; i < channels; i++) await carol.subscribe(channelName())
      expect(await carol.subscribe(channel, { position })).toMatchObject({ recovered: false })
    }
    await comeBack(young, 0)
    await until('the clock to be ahead of the position', () => Date.now() > aheadUntil + 100)
    // The beacons for the new channels are after the position.
    await comeBack(young, 2)
    place.url = young.url
    expect(await session.next()).toMatchObject({ __type: 'gap', channel })
    await young.publish(channel, '2')
    await bob.hears('2')
    // This node asks the other one for the messages after the position.
    await comeBack(tidy(await startServer({ redis: redis.url })), 2)
  })

  it('R8: are the same on all nodes when the key was deleted while they ran', async () => {
    const redis = tidy(await startRedis())
    await redis.cli('SET', 'bc:beaconNumber', String(beaconAt(Date.now() + 43_200_000)))
    const old = tidy(await startServer({ redis: redis.url }))
    const channel = channelName()
    const alice = await Visitor.come(old.url, channel, { mode: 'websocket' })
    await redis.cli('DEL', 'bc:beaconNumber')
    // The new node starts with a beacon from the clock, which is half a day behind.
    const young = tidy(await startServer({ redis: redis.url }))
    const bob = await Visitor.come(young.url, channel, { mode: 'websocket' })
    for (const body of numbers(20)) await old.publish(channel, body)
    await alice.hears('20')
    await bob.hears('20')
    expect(alice.heard.filter((body) => !body.startsWith('gap'))).toEqual(numbers(20))
    expect(bob.heard.filter((body) => !body.startsWith('gap'))).toEqual(numbers(20))
    expect(alice.positions.at(-1)).toBe(bob.positions.at(-1))
  })
})

async function nextMessage(peer: { next(): Promise<{ __type: string; [field: string]: unknown }> }) {
  for (;;) {
    const message = await peer.next()
    if (message.__type === 'message') return message
  }
}
