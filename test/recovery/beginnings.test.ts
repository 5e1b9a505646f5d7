import { describe, expect, it } from 'vitest'
import { channelName } from '../support/names.ts'
import type { TestServer } from '../support/server.ts'
import { until } from '../support/waiting.ts'
import { client, come, pretend, start } from './controlTraffic.ts'

const beaconOf = (position: unknown) => Number.parseInt(String(position).split('.')[0]!, 36)

describe('a node that begins to hold a channel', () => {
  it('asks one of many nodes that hold it, if it has heard of one', async () => {
    const { redis, nodes, of, idOf } = await start(5)
    const [asker, ...holders] = nodes as [TestServer, ...TestServer[]]
    const channel = channelName()
    const subscribe = async (node: TestServer) =>
      (await (await come(node, client(channelName('client'), 1))).peer.subscribe(channel)).position
    let at: unknown
    for (const node of holders) at = await subscribe(node)
    const { node, publisher } = await pretend(redis.url, () => {})
    let id = 0
    await until('the holders to know what was before', async () => {
      const question = { v: 1, type: 'where', id: ++id, node, channels: [[channel, at]] }
      await publisher.publish('broadcaster', JSON.stringify(question))
      const answers = () => of('whereIs').filter(({ to, id: of }) => to.endsWith(node) && of === id)
      await until('the answers of all', () => answers().length === nodes.length)
      const held = answers().flatMap(({ channels }) => channels as [number, string, string, boolean][])
      return held.length === holders.length && held.every(([, start, , isAsking]) => start && !isAsking)
    })
    await subscribe(asker)
    const askerId = await idOf(asker)
    const asked = () => of('where').filter((question) => question['node'] === askerId)
    await until('the question', () => asked().length > 0)
    expect(asked()[0]!.to).toMatch(/^bc:node:/)
  })

  it('hears the claim of a node that knows more, and nodes that know nothing are silent', async () => {
    const { nodes, of, idOf } = await start(4)
    const [holder, asker, other] = nodes as [TestServer, TestServer, TestServer]
    const channel = channelName()
    const alice = (await come(holder, client(channelName('client'), 1))).peer
    await alice.subscribe(channel)
    await holder.publish(channel, 'before')
    const { position } = await alice.next()
    await (await come(asker, client(channelName('client'), 1))).peer.subscribe(channel)
    const claimed = async (node: TestServer) => {
      const id = await idOf(node)
      return of('claim').filter((claim) => claim['node'] === id)
    }
    await until('the claim of the old holder', async () => (await claimed(holder)).length > 0)
    const [[, ...places]] = (await claimed(holder))[0]!['channels'] as [[string, ...string[]]]
    expect(places.at(-1)).toBe(position)
    expect(await claimed(other)).toEqual([])
  })

  it('recovers a client whose last message is older than its own log, when the node with the message is gone', async () => {
    const { nodes, of, idOf } = await start(2)
    const [former, next] = nodes as [TestServer, TestServer]
    const channel = channelName()
    const formerId = await idOf(former)
    const alice = (await come(former, client(channelName('client'), 1))).peer
    await alice.subscribe(channel)
    await former.publish(channel, 'before')
    const { position } = await alice.next()
    const bob = (await come(next, client(channelName('client'), 1))).peer
    const { position: begun } = await bob.subscribe(channel)
    await until('the claim of the former node about the time before', () =>
      of('claim').some(({ node, upTo }) => node === formerId && beaconOf(upTo) >= beaconOf(begun)),
    )
    await former.close()
    await next.publish(channel, 'after')
    await bob.next()
    const again = (await come(next, client(channelName('client'), 1))).peer
    expect(await again.subscribe(channel, { position })).toMatchObject({
      recovered: true,
      messages: [['after', expect.anything()]],
    })
  })

  it('claims to all nodes after it has asked a node whose log is new, too', async () => {
    const { redis, nodes, of, idOf } = await start(1)
    const [asker] = nodes as [TestServer]
    const askerId = await idOf(asker)
    const alice = (await come(asker, client(channelName('client'), 1))).peer
    const { node, subscriber, publisher } = await pretend(
      redis.url,
      ({ type, node: from, channels }, say) => {
        if (type !== 'where' || from !== askerId) return
        const [[, at]] = channels as [[string, string]]
        void say({ type: 'whereIs', channels: [[0, at, at, true]] })
      },
    )
    const { subscriber: silent } = await pretend(redis.url, () => {})
    // So the node knows of the first one.
    await publisher.publish('broadcaster', JSON.stringify({ v: 1, type: 'where', id: 1, node, channels: [] }))
    const channel = channelName()
    await Promise.all([subscriber.subscribe(channel), silent.subscribe(channel)])
    await alice.subscribe(channel)
    const sent = (type: string) =>
      of(type).filter(
        (message) => message['node'] === askerId && JSON.stringify(message['channels']).includes(channel),
      )
    await until('a claim about the channel', () => sent('claim').length > 0)
    expect(sent('where').map(({ to }) => to)).toEqual([`bc:node:${node}`])
  })

  it('claims what it knows when a node claims less', async () => {
    const { redis, nodes, of } = await start(1)
    const [holder] = nodes as [TestServer]
    const channel = channelName()
    const alice = (await come(holder, client(channelName('client'), 1))).peer
    const { position: begun } = await alice.subscribe(channel)
    await holder.publish(channel, 'before')
    const { position } = await alice.next()
    const { node, publisher } = await pretend(redis.url, () => {})
    const claim = { v: 1, type: 'claim', node, upTo: position, channels: [[channel, position]] }
    await publisher.publish('broadcaster', JSON.stringify(claim))
    const claims = () => of('claim').filter((claim) => claim['node'] !== node)
    await until('the claim of the holder', () => claims().length > 0)
    const [[name, first]] = claims()[0]!['channels'] as [string[]]
    expect([name, first]).toEqual([channel, begun])
  })

  it('claims nothing about a channel of which it has dropped messages already, or of which the other node knows all', async () => {
    const { redis, nodes, of, idOf } = await start(1, { recovery: { maxMessages: 1 } })
    const [asker] = nodes as [TestServer]
    const askerId = await idOf(asker)
    const alice = (await come(asker, client(channelName('client'), 1))).peer
    const [busy, idle, known] = [channelName('busy'), channelName('idle'), channelName('known')]
    const names = [busy, idle, known]
    const { node, subscriber, publisher } = await pretend(
      redis.url,
      ({ type, node: from, channels }, say) => {
        if (type !== 'where' || from !== askerId) return
        // The answer comes after these messages.
        for (const body of ['1', '2', '3']) void publisher.publish(busy, body)
        const places = (channels as [string, string][]).map(([name, at], index) =>
          name === known ? [index, at] : [index, at, at, true],
        )
        void say({ type: 'whereIs', channels: places })
      },
    )
    const { subscriber: silent } = await pretend(redis.url, () => {})
    await publisher.publish('broadcaster', JSON.stringify({ v: 1, type: 'where', id: 1, node, channels: [] }))
    await Promise.all([subscriber.subscribe(...names), silent.subscribe(...names)])
    await Promise.all(names.map((name) => alice.subscribe(name)))
    const claims = () => of('claim').filter((claim) => claim['node'] === askerId)
    await until('a claim', () => claims().length > 0)
    expect(claims().flatMap(({ channels }) => (channels as [string][]).map(([name]) => name))).toEqual([idle])
  })
})
