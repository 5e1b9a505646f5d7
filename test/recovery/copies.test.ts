import { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { signIn } from '../support/connect.ts'
import { channelName } from '../support/names.ts'
import { startRedis } from '../support/redis.ts'
import { startServer } from '../support/server.ts'
import { transports } from '../support/subject.ts'
import { tcpProxy } from '../support/tcpProxy.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'
import { pretend, start } from './controlTraffic.ts'
import {
  copiesOn,
  copyingNode,
  copyingProcess,
  holders,
  movableAddress,
  untilAnnounced,
  untilCopied,
} from './copying.ts'
import { numbers, Visitor } from './visitor.ts'

describe.each(transports)('R10: a channel with one client and two copies, over %s', (mode) => {
  it.each([
    ['the node with the copy', 1],
    ['a node without it', 0],
  ])('has no gap when its node is killed and the client continues on %s', async (_, copies) => {
    const redis = tidy(await startRedis())
    const killed = await copyingProcess(redis)
    const others = [await copyingNode(redis), await copyingNode(redis)]
    const channel = channelName()
    const address = await movableAddress(killed)
    const alice = await Visitor.come(address.url, channel, { mode })
    for (const body of numbers(5)) await others[0]!.publish(channel, body)
    await alice.hears('5')
    await untilCopied(killed)
    expect(await holders(redis, channel)).toBe(2)
    const copied = await copiesOn(others)
    expect(copied.toSorted()).toEqual([0, 1])
    address.close()
    await killed.stop('SIGKILL')
    for (const body of numbers(20, 6)) await others[0]!.publish(channel, body)
    address.leadTo(others[copied.indexOf(copies)]!)
    expect(await alice.hears('20')).toEqual(numbers(20))
    await others[0]!.publish(channel, '21')
    expect(await alice.hears('21')).toEqual(numbers(21))
  })

  it('has no gap when every node is killed once, one after the other', async () => {
    const redis = tidy(await startRedis())
    let nodes = [await copyingProcess(redis), await copyingProcess(redis)]
    const channel = channelName()
    const address = await movableAddress(nodes[0]!)
    const alice = await Visitor.come(address.url, channel, { mode })
    for (let round = 1; round <= 3; round++) {
      const [killed, next] = nodes
      await untilCopied(killed!)
      await next!.publish(channel, `${round} before`)
      await alice.hears(`${round} before`)
      address.close()
      await killed!.stop('SIGKILL')
      await next!.publish(channel, `${round} after`)
      address.leadTo(next!)
      await alice.hears(`${round} after`)
      nodes = [next!, await copyingProcess(redis)]
    }
    const heard = [1, 2, 3].flatMap((round) => [`${round} before`, `${round} after`])
    expect(alice.heard).toEqual(heard)
  })

  it('has no gap in a rolling restart, also if its client comes back after its node and the next one have ended', async () => {
    const redis = tidy(await startRedis())
    const [first, second] = [await copyingNode(redis), await copyingNode(redis)]
    const channel = channelName()
    const address = await movableAddress(first)
    const alice = await Visitor.come(address.url, channel, { mode })
    await untilCopied(first)
    address.close()
    const third = await copyingNode(redis)
    await first.broadcaster.close({ drain: 2000 })
    await third.publish(channel, '1')
    // No client has the channel now, and the second node has its only log.
    const fourth = await copyingNode(redis)
    await second.broadcaster.close({ drain: 2000 })
    await third.publish(channel, '2')
    const [copies] = await copiesOn([third])
    address.leadTo(copies === 1 ? fourth : third)
    expect(await alice.hears('2')).toEqual(['1', '2'])
  })
})

describe('the copy of a channel', () => {
  it('is replaced when its node is killed, and has the messages from before it', async () => {
    const redis = tidy(await startRedis())
    const holder = await copyingProcess(redis)
    const channel = channelName()
    const address = await movableAddress(holder)
    const alice = await Visitor.come(address.url, channel, { mode: 'websocket' })
    await Visitor.come(holder.url, channel, { mode: 'websocket' })
    // Alice is away, and the channel has messages which only the first node has received. Then there is the first copy.
    address.close()
    const publisher = new Redis(redis.url)
    tidy({ close: () => publisher.disconnect() })
    for (const body of numbers(300)) await publisher.publish(channel, body)
    const killed = await copyingProcess(redis)
    await untilCopied(holder)
    const next = await copyingNode(redis)
    await killed.stop('SIGKILL')
    await until('another copy', async () => (await copiesOn([next]))[0] === 1)
    await untilCopied(holder)
    await holder.stop('SIGKILL')
    address.leadTo(next)
    expect(await alice.hears('300')).toEqual(numbers(300))
  })

  it('is on another node if a node has nearly as many channels as it may have', async () => {
    const redis = tidy(await startRedis())
    const holder = await copyingNode(redis)
    const full = await copyingNode(redis, { limits: { channels: 10 } })
    const others = await signIn(full, { transport: 'websocket' })
    for (const body of numbers(9)) await others.subscribe(`full-${body}`)
    await untilCopied(full, 9)
    const alice = await signIn(holder, { transport: 'websocket' })
    await alice.subscribe('one')
    await until('the refusal', async () => (await holder.broadcaster.stats()).node.uncopiedChannels === 1)
    expect(await copiesOn([full])).toEqual([0])
    const free = await copyingNode(redis)
    await untilCopied(holder)
    expect(await copiesOn([full])).toEqual([0])
    expect(await holders(redis, 'one')).toBe(2)
    expect((await others.subscribe('own')).__type).toBe('subscribeOk')
    await free.close()
  })

  it('is the second of three with `copies: 3`, so two nodes may be killed at the same time', async () => {
    const redis = tidy(await startRedis())
    const [holder, another] = [
      await copyingProcess(redis, { copies: 3 }),
      await copyingProcess(redis, { copies: 3 }),
    ]
    const last = await copyingNode(redis, { copies: 3 })
    const channel = channelName()
    const address = await movableAddress(holder)
    const alice = await Visitor.come(address.url, channel, { mode: 'websocket' })
    await untilCopied(holder)
    expect(await holders(redis, channel)).toBe(3)
    await last.publish(channel, '1')
    await alice.hears('1')
    address.close()
    await Promise.all([holder.stop('SIGKILL'), another.stop('SIGKILL')])
    await last.publish(channel, '2')
    address.leadTo(last)
    expect(await alice.hears('2')).toEqual(['1', '2'])
  })

  it('fills the hole when the connection of its only other node to Redis breaks', async () => {
    const redis = tidy(await startRedis())
    const link = tidy(await tcpProxy(redis.port))
    const holder = await copyingNode({ url: `redis://${link.address}` })
    const copy = await copyingNode(redis)
    const channel = channelName()
    const alice = await Visitor.come(holder.url, channel, { mode: 'websocket' })
    await untilCopied(holder)
    link.refuse()
    link.cut()
    for (const body of numbers(10)) await copy.publish(channel, body)
    link.resume()
    expect(await alice.hears('10')).toEqual(numbers(10))
    // Both nodes still know of the copy.
    await untilCopied(holder)
    expect(await copiesOn([copy])).toEqual([1])
  })

  it('is not made on a node that does not answer', async () => {
    const redis = tidy(await startRedis())
    const holder = await copyingNode(redis)
    const frozen = await copyingProcess(redis)
    const alice = await signIn(holder, { transport: 'websocket' })
    await alice.subscribe('first')
    await untilCopied(holder)
    frozen.pause()
    await alice.subscribe('second')
    const other = await copyingNode(redis)
    // Both channels are on the other node in the end.
    await until('the other node to have both', async () => (await copiesOn([other]))[0] === 2)
    await untilCopied(holder, 2)
  })

  it('is not made on a node that lives but does not answer for it', async () => {
    const redis = tidy(await startRedis())
    let isAsked = false
    const { node } = await pretend(redis.url, ({ type }) => void (isAsked ||= type === 'copy'))
    await redis.cli('ZADD', 'bc:living:broadcaster', String(Number.MAX_SAFE_INTEGER), node)
    const holder = await copyingNode(redis)
    const alice = await signIn(holder, { transport: 'websocket' })
    await alice.subscribe('first')
    await until('the silent node to be asked', () => isAsked)
    const other = await copyingNode(redis)
    await until('the other node to have it', async () => (await copiesOn([other]))[0] === 1)
    await untilCopied(holder)
  })

  it('ends when the channel has no client any more', async () => {
    const redis = tidy(await startRedis())
    const short = { timeout: 500, pollTime: 0 }
    const recovery = { copies: 2, window: 500 }
    const nodes = [
      tidy(await startServer({ ...short, redis: redis.url, recovery })),
      tidy(await startServer({ ...short, redis: redis.url, recovery })),
    ]
    const channel = channelName()
    const alice = await signIn(nodes[0]!, { transport: 'websocket' })
    await alice.subscribe(channel)
    await untilCopied(nodes[0]!)
    await alice.close()
    await until('no node to hold it', async () => (await holders(redis, channel)) === 0)
    expect(await copiesOn(nodes)).toEqual([0, 0])
  })
})

describe('the copies of many channels', () => {
  it('are spread over the other nodes, and make a message for many of them', async () => {
    const { nodes: others, of, redis } = await start(3, { recovery: { copies: 2 } })
    await untilAnnounced(redis, 3)
    const holder = await copyingNode(redis)
    const alice = await signIn(holder, { transport: 'websocket' })
    await Promise.all(numbers(300).map((name) => alice.subscribe(`user-${name}`)))
    await untilCopied(holder, 300)
    const copies = await copiesOn(others)
    expect(copies.reduce((sum, count) => sum + count)).toBe(300)
    for (const count of copies) expect(count).toBeGreaterThan(60)
    const asked = of('copy').filter(({ hold }) => (hold as unknown[]).length > 0)
    expect(asked.length).toBeLessThan(40)
    expect(of('copy').filter(({ to }) => to === 'broadcaster')).toEqual([])
  })

  it('are made on the same node for all nodes that have a channel', async () => {
    const redis = tidy(await startRedis())
    await copyingNode(redis)
    await copyingNode(redis)
    await untilAnnounced(redis, 2)
    for (const known of [3, 4, 5]) {
      const node = await copyingNode(redis)
      const peer = await signIn(node, { transport: 'websocket' })
      await peer.subscribe('shared')
      await untilCopied(node)
      await untilAnnounced(redis, known)
    }
    expect(await holders(redis, 'shared')).toBe(4)
  })
})

describe('without `copies`', () => {
  it('nodes send nothing about copies, and store nothing', async () => {
    const { nodes, of, redis } = await start(2)
    const alice = await signIn(nodes[0]!, { transport: 'websocket' })
    await alice.subscribe('news')
    await until('the beacon', () => of('beacon').length > 0)
    expect(await holders(redis, 'news')).toBe(1)
    expect(of('copy')).toEqual([])
    expect(await redis.cli('EXISTS', 'bc:living:broadcaster')).toBe('0')
    expect((await nodes[0]!.broadcaster.stats()).node).toMatchObject({
      copiedChannels: 0,
      uncopiedChannels: 0,
    })
  })

  it('a node is not asked by nodes that have it', async () => {
    const redis = tidy(await startRedis())
    const without = tidy(await startServer({ redis: redis.url }))
    const [holder, other] = [await copyingNode(redis), await copyingNode(redis)]
    const alice = await signIn(holder, { transport: 'websocket' })
    for (const body of numbers(20)) await alice.subscribe(body)
    await untilCopied(holder, 20)
    expect(await copiesOn([other, without])).toEqual([20, 0])
  })
})
