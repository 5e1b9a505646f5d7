import { describe, expect, it } from 'vitest'
import { signIn } from '../support/connect.ts'
import { channelName } from '../support/names.ts'
import type { TestServer } from '../support/server.ts'
import { until } from '../support/waiting.ts'
import { WebSocketPeer } from '../support/webSocketPeer.ts'
import { client, come, pretend, start, type Control } from './controlTraffic.ts'

const typesOf = (message: Control) => (message['messages'] as readonly Control[]).map(({ type }) => type)

describe('A5: the node that a client was on', () => {
  it('is sent to clients with version 2 on a WebSocket, and to no others', async () => {
    const { nodes, idOf } = await start(1)
    const [node] = nodes as [TestServer]
    expect((await come(node, { __v: 2 })).authOk).toEqual({
      __type: 'authOk',
      __v: 2,
      __node: await idOf(node),
    })
    expect((await come(node, { __v: 3.5 })).authOk).toMatchObject({ __v: 2 })
    expect((await come(node, { __v: 1 })).authOk).toEqual({ __type: 'authOk', __v: 1 })
    expect((await come(node, {})).authOk).toEqual({ __type: 'authOk' })
    const longpoll = await signIn(node, { transport: 'longpoll', auth: { __v: 2 } })
    expect(Object.keys(longpoll)).not.toContain('__node')
  })

  it('is the only node that gets the fence', async () => {
    const { nodes, of, idOf, channelOf } = await start(3)
    const [former, next] = nodes as [TestServer, TestServer]
    const name = channelName('client')
    const { peer } = await come(former, client(name, 1))
    await come(next, client(name, 2, { __node: await idOf(former) }))
    expect((await peer.closed).code).toBe(4409)
    expect(of('fence').map(({ to }) => to)).toEqual([await channelOf(former)])
  })

  it('gets the fence and the question for missed messages as one message', async () => {
    const { nodes, together, idOf, channelOf } = await start(2)
    const [former, next] = nodes as [TestServer, TestServer]
    const __node = await idOf(former)
    const to = await channelOf(former)
    const both = () => together.filter((message) => message.to === to).map(typesOf)
    // A fence waits for 100 ms. On a loaded machine, the question can come later.
    await until('both in one message', async () => {
      const [name, channel] = [channelName('client'), channelName()]
      const { peer } = await come(former, client(name, 1))
      const { position } = await peer.subscribe(channel)
      await former.publish(channel, 'missed')
      await peer.next()
      const again = await WebSocketPeer.connect(next)
      await again.send({ __type: 'auth', ...client(name, 2, { __node }) })
      await again.send({ __type: 'subscribe', channel, position })
      expect(await again.next()).toMatchObject({ __type: 'authOk' })
      expect(await again.next()).toMatchObject({ __type: 'subscribeOk', recovered: true })
      expect((await peer.closed).code).toBe(4409)
      return both().some((types) => types.join() === 'fence,where')
    })
  })

  it('gets no fence through Redis when the client reconnects to it', async () => {
    const { nodes, of, idOf } = await start(2)
    const [node] = nodes as [TestServer]
    const name = channelName('client')
    const { peer } = await come(node, client(name, 1))
    await come(node, client(name, 2, { __node: await idOf(node) }))
    expect((await peer.closed).code).toBe(4409)
    // This one goes to all nodes, after anything that was sent before.
    await come(node, client(name, 3))
    await until('the fence to all', () => of('fence').length > 0)
    expect(of('fence')).toMatchObject([{ to: 'broadcaster', generation: 3 }])
  })

  it.each([
    ['is not named', {}],
    ['is named by something that is no id', { __node: 'bc:node:*' }],
    ['is named by an object', { __node: { length: 36 } }],
  ])('if it %s, all nodes are told', async (_, fields) => {
    const { nodes, of } = await start(2)
    const [former, next] = nodes as [TestServer, TestServer]
    const name = channelName('client')
    const { peer } = await come(former, client(name, 1))
    await come(next, client(name, 2, fields))
    expect((await peer.closed).code).toBe(4409)
    expect(of('fence').map(({ to }) => to)).toEqual(['broadcaster'])
  })

  it('is the only node that is asked for the missed messages', async () => {
    const { nodes, of, idOf, channelOf } = await start(3)
    const [former, next, third] = nodes as [TestServer, TestServer, TestServer]
    const channel = channelName()
    const witness = (await come(third, client(channelName('client'), 1))).peer
    await witness.subscribe(channel)
    const { peer } = await come(former, client(channelName('client'), 1))
    const { position } = await peer.subscribe(channel)
    await former.publish(channel, 'missed')
    await Promise.all([peer.next(), witness.next()])
    const nextId = await idOf(next)
    const again = (await come(next, client(channelName('client'), 2, { __node: await idOf(former) }))).peer
    const answer = await again.subscribe(channel, { position })
    expect(answer).toMatchObject({ recovered: true, messages: [['missed', expect.anything()]] })
    expect(
      of('where')
        .filter((question) => question['node'] === nextId)
        .map(({ to }) => to)
        // Later, the node may ask one of the others about the time before its log.
        .slice(0, 1),
    ).toEqual([await channelOf(former)])
  })

  it.each([
    ['is gone', async ({ id, former }: { id: string; former: TestServer }) => (await former.close(), id)],
    ['never was', () => '00000000-0000-4000-8000-000000000000'],
    ['does not have it', ({ empty }: { empty: string }) => empty],
  ])('if it %s, all other nodes are asked', async (_, nameOf) => {
    const { nodes, idOf } = await start(4)
    const [former, next, third, empty] = nodes as [TestServer, TestServer, TestServer, TestServer]
    const channel = channelName()
    const witness = (await come(third, client(channelName('client'), 1))).peer
    await witness.subscribe(channel)
    const { peer } = await come(former, client(channelName('client'), 1))
    const { position } = await peer.subscribe(channel)
    await former.publish(channel, 'missed')
    await Promise.all([peer.next(), witness.next()])
    const __node = await nameOf({ id: await idOf(former), former, empty: await idOf(empty) })
    const again = (await come(next, client(channelName('client'), 2, { __node }))).peer
    expect(await again.subscribe(channel, { position })).toMatchObject({
      recovered: true,
      messages: [['missed', expect.anything()]],
    })
  })

  it('if it is not named, a node that never answers keeps no other one from answering', async () => {
    const { redis, nodes } = await start(2)
    const [former, next] = nodes as [TestServer, TestServer]
    const frozen = await pretend(redis.url, () => {})
    await frozen.subscriber.subscribe('broadcaster', 'bc:members:broadcaster')
    const channel = channelName()
    const { peer } = await come(former, client(channelName('client'), 1))
    const { position } = await peer.subscribe(channel)
    await former.publish(channel, 'missed')
    await peer.next()
    const again = (await come(next, client(channelName('client'), 2))).peer
    expect(await again.subscribe(channel, { position })).toMatchObject({
      recovered: true,
      messages: [['missed', expect.anything()]],
    })
    // Nobody has this channel, and Redis knows it. So the frozen node is not awaited.
    const unknown = channelName()
    expect(await again.subscribe(unknown, { position })).toMatchObject({ recovered: false })
  })

  it('if it does not send what it says it has, all other nodes are asked', async () => {
    const { redis, nodes, idOf } = await start(2)
    const [holder, next] = nodes as [TestServer, TestServer]
    const channel = channelName()
    const { peer } = await come(holder, client(channelName('client'), 1))
    const { position } = await peer.subscribe(channel)
    await holder.publish(channel, 'missed')
    const { position: last } = await peer.next()
    const asked: string[] = []
    const asker = await idOf(next)
    const { node, subscriber } = await pretend(redis.url, ({ type, node: from }, say) => {
      if (['where', 'getPage'].includes(type) && from === asker) asked.push(type)
      if (type === 'where') void say({ type: 'whereIs', channels: [[0, position, last, false]] })
      if (type === 'getPage') void say({ type: 'page', start: null, count: 0, needs: 0, entries: [] })
    })
    // It says so again when all nodes are asked.
    await subscriber.subscribe('broadcaster', 'bc:members:broadcaster')
    const again = (await come(next, client(channelName('client'), 2, { __node: node }))).peer
    expect(await again.subscribe(channel, { position })).toMatchObject({
      recovered: true,
      messages: [['missed', last]],
    })
    expect(asked.filter((type) => type === 'getPage')).toHaveLength(1)
    expect(asked.lastIndexOf('where')).toBeGreaterThan(asked.indexOf('getPage'))
  })
})
