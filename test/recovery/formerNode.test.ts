import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { Redis } from 'ioredis'
import { BEACONS_PER_MS } from '../support/beacons.ts'
import { signIn } from '../support/connect.ts'
import { channelName } from '../support/names.ts'
import { startRedis } from '../support/redis.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'
import { WebSocketPeer } from '../support/webSocketPeer.ts'

type Control = { readonly to: string; readonly type: string; readonly [field: string]: unknown }

/** Nodes on one Redis, and what they tell each other. */
async function start(count: number) {
  const redis = tidy(await startRedis())
  const nodes: TestServer[] = []
  while (nodes.length < count) nodes.push(tidy(await startServer({ redis: redis.url })))
  const listener = new Redis(redis.url)
  tidy({ close: () => listener.disconnect() })
  const heard: Control[] = []
  await listener.psubscribe('broadcaster*', 'bc:node:*')
  listener.on('pmessage', (_pattern, to, body: string) => heard.push({ to, ...JSON.parse(body) }))
  const of = (type: string) => heard.filter((message) => message.type === type)
  const idOf = async (node: TestServer) => (await node.broadcaster.stats()).node.id
  return { redis, nodes, of, idOf, channelOf: async (node: TestServer) => `bc:node:${await idOf(node)}` }
}

const client = (name: string, generation: number, fields: object = {}) => ({
  __v: 2,
  __client: name,
  __generation: generation,
  ...fields,
})

async function come(node: TestServer, auth: object) {
  const peer = await WebSocketPeer.connect(node)
  return { peer, authOk: await peer.auth(auth) }
}

/** Somebody who answers questions as a node does, with what a test says. */
async function pretend(
  url: string,
  answer: (message: Control, say: (message: object) => Promise<void>) => void,
) {
  const node = randomUUID()
  const [subscriber, publisher] = [new Redis(url), new Redis(url)]
  tidy({ close: () => [subscriber, publisher].forEach((redis) => redis.disconnect()) })
  await subscriber.subscribe(`bc:node:${node}`)
  subscriber.on('message', (to, body: string) => {
    const message = JSON.parse(body) as Control
    const say = async (fields: object) => {
      await publisher.publish(
        `bc:node:${message['node'] as string}`,
        JSON.stringify({ v: 1, node, ...fields }),
      )
    }
    answer({ ...message, to }, (fields) => say({ id: message['id'], ...fields }))
  })
  return { node, subscriber, publisher }
}

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
    const before = of('where').length
    const again = (await come(next, client(channelName('client'), 2, { __node: await idOf(former) }))).peer
    const answer = await again.subscribe(channel, { position })
    expect(answer).toMatchObject({ recovered: true, messages: [['missed', expect.anything()]] })
    expect(
      of('where')
        .slice(before)
        .map(({ to }) => to),
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

  it('if it does not send what it says it has, all other nodes are asked', async () => {
    const { redis, nodes } = await start(2)
    const [holder, next] = nodes as [TestServer, TestServer]
    const channel = channelName()
    const { peer } = await come(holder, client(channelName('client'), 1))
    const { position } = await peer.subscribe(channel)
    await holder.publish(channel, 'missed')
    const { position: last } = await peer.next()
    const asked: string[] = []
    const { node, subscriber } = await pretend(redis.url, ({ type }, say) => {
      if (['where', 'getPage'].includes(type)) asked.push(type)
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
    expect(asked).toEqual(['where', 'getPage', 'where'])
  })
})

describe('a node that begins to hold a channel', () => {
  it('asks one of many nodes that hold it, if it has heard of them', async () => {
    const { nodes, of } = await start(5)
    const subscribe = async (node: TestServer, channel: string) => {
      await (await come(node, client(channelName('client'), 1))).peer.subscribe(channel)
    }
    const asker = nodes[0]!
    const asked = () => of('where').filter(({ node }) => node === of('where').at(-1)!['node'])
    const [first, second] = [channelName(), channelName()]
    for (const node of nodes.slice(1)) await subscribe(node, first)
    for (const node of nodes.slice(1)) await subscribe(node, second)
    const before = of('where').length
    await subscribe(asker, first)
    await until('the first question', () => of('where').length > before)
    await until('the answers to it', () => of('whereIs').some(({ id }) => id === asked()[0]!['id']))
    const between = of('where').length
    await subscribe(asker, second)
    await until('the second question', () => of('where').length > between)
    expect(of('where')[between]!.to).toMatch(/^bc:node:/)
  })

  it('gets answers only from nodes that hold it, unless a client waits', async () => {
    const { nodes, of, idOf } = await start(4)
    const [holder, asker] = nodes as [TestServer, TestServer]
    const channel = channelName()
    const { position } = await (await come(holder, client(channelName('client'), 1))).peer.subscribe(channel)
    const alice = (await come(asker, client(channelName('client'), 1))).peer
    await alice.subscribe(channel)
    await until('an answer', () => of('whereIs').length > 0)
    const [beacon] = String(position).split('.') as [string]
    const older = `${(Number.parseInt(beacon, 36) - 125 * BEACONS_PER_MS).toString(36)}.0`
    await alice.unsubscribe(channel)
    expect(await alice.subscribe(channel, { position: older })).toMatchObject({ recovered: false })
    // All nodes have answered the second question, so they have handled the first one.
    await until('the answers of all', () => of('whereIs').length >= 4)
    expect(of('whereIs').map(({ node }) => node)).toContain(await idOf(nodes[2]!))
    const [{ id: first }] = of('where') as [Control]
    expect(of('whereIs').flatMap(({ id, node }) => (id === first ? [node] : []))).toEqual([
      await idOf(holder),
    ])
  })

  it('asks further nodes after one that itself waits for answers', async () => {
    const { redis, nodes, of, idOf } = await start(2)
    const [holder, asker] = nodes as [TestServer, TestServer]
    const askerId = await idOf(asker)
    const { peer } = await come(holder, client(channelName('client'), 1))
    const alice = (await come(asker, client(channelName('client'), 1))).peer
    const { node, subscriber, publisher } = await pretend(
      redis.url,
      ({ type, node: from, channels }, say) => {
        if (type !== 'where' || from !== askerId) return
        const [[, at]] = channels as [[string, string]]
        void say({ type: 'whereIs', channels: [[0, at, at, true]] })
      },
    )
    // So both nodes know of it.
    await publisher.publish('broadcaster', JSON.stringify({ v: 1, type: 'where', id: 1, node, channels: [] }))
    for (;;) {
      const channel = channelName()
      await subscriber.subscribe(channel)
      await peer.subscribe(channel)
      await alice.subscribe(channel)
      const questions = () =>
        of('where').filter(
          (message) => message['node'] === askerId && JSON.stringify(message['channels']).includes(channel),
        )
      await until('a question about the channel', () => questions().length > 0)
      // Which node is asked first is decided at random.
      if (!questions()[0]!.to.endsWith(node)) continue
      await until('a second question about the channel', () => questions().length > 1)
      break
    }
  })
})
