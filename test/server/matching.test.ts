import { describe, expect, it } from 'vitest'
import { signIn } from '../support/connect.ts'
import type { LongPollPeer } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { nested } from '../support/nested.ts'
import { startNodeProcess } from '../support/nodeProcess.ts'
import type { Peer } from '../support/peer.ts'
import { startRedis } from '../support/redis.ts'
import { startNodes, startServer, type TestServer } from '../support/server.ts'
import { transports, type Transport } from '../support/subject.ts'
import { tidy } from '../support/tidy.ts'
import type { WebSocketPeer } from '../support/webSocketPeer.ts'

const context = {
  user: 'alice',
  since: new Date(0),
  age: -0,
  nothing: null,
  tags: ['a', { b: 1, c: 2 }],
  team: { id: 5, lead: { name: 'carol', tags: [] } },
}

/** Whether `disconnect` and `unsubscribe` match the client. Both read a match alike. */
async function isMatched(server: TestServer, peer: Peer, match: object | 'everyone'): Promise<boolean> {
  const channel = channelName()
  await peer.subscribe(channel)
  await server.broadcaster.unsubscribe(match, channel)
  await server.publish(channel, 'still yours')
  const heard = await peer.next()
  expect(heard).toMatchObject({ channel })
  return heard.__type === 'unsubscribed'
}

describe.each(transports)('a match, over %s', (transport) => {
  it.each([false, true])(
    'is compared with contexts as JSON, at all levels (on Redis: %s)',
    async (hasRedis) => {
      const redis = hasRedis ? tidy(await startRedis()).url : false
      const server = tidy(await startServer({ redis, canConnect: () => context }))
      const alice = await signIn(server, { transport, auth: { __v: 1 } })
      const cases: [match: object, isMatch: boolean][] = [
        [{ user: 'alice' }, true],
        [{ user: 'alice', age: 0 }, true],
        [{ age: -0 }, true],
        [{ nothing: null }, true],
        [{ since: new Date(0) }, true],
        [{ since: '1970-01-01T00:00:00.000Z' }, true],
        [{ tags: ['a', { c: 2 }] }, true],
        [{ team: { id: 5 } }, true],
        [{ team: { lead: { tags: [] } } }, true],
        [{ team: {} }, true],
        [Object.assign(Object.create(null) as object, { user: 'alice' }), true],
        [{ toJSON: () => ({ user: 'alice' }) }, true],
        [{ user: 'bob' }, false],
        [{ user: 'alice', age: 1 }, false],
        [{ user: { length: 5 } }, false],
        [{ missing: null }, false],
        [{ since: new Date(1) }, false],
        [{ tags: ['a'] }, false],
        [{ tags: [{ b: 1, c: 2 }, 'a'] }, false],
        [{ tags: { 0: 'a' } }, false],
        [{ team: { id: '5' } }, false],
        [{ team: [] }, false],
        [{ team: { lead: { tags: {} } } }, false],
        [{ nothing: {} }, false],
        [{ toString: {} }, false],
        [JSON.parse('{"__proto__":{}}') as object, false],
      ]
      for (const [match, isMatch] of cases) {
        expect([match, await isMatched(server, alice, match)]).toEqual([match, isMatch])
      }
    },
  )

  it("can be 'everyone', and matches clients with and without a context", async () => {
    const redis = tidy(await startRedis())
    const canConnect = ({ user }: Record<string, unknown>) => (user === undefined ? true : { user })
    const cluster = tidy(await startNodes(2, { redis: redis.url, canConnect }))
    const [here, there] = cluster.nodes as [TestServer, TestServer]
    const all: Peer[] = []
    for (const node of [here, there]) {
      for (const auth of [{}, { user: 'alice' }]) all.push(await signIn(node, { transport, auth }))
    }
    await here.broadcaster.disconnect('everyone')
    for (const peer of all) expect(await isCutOff(peer)).toBe(true)
  })

  it("can be 'everyone' for unsubscribe()", async () => {
    const server = tidy(await startServer())
    const alice = await signIn(server, { transport, auth: { __v: 1 } })
    expect(await isMatched(server, alice, 'everyone')).toBe(true)
  })
})

async function isCutOff(peer: Peer): Promise<boolean> {
  if (peer.transport === ('websocket' satisfies Transport))
    return (await (peer as WebSocketPeer).closed).code === 4403
  const { status } = await (peer as LongPollPeer).post({ __type: 'ping' })
  return status === 401
}

const circle: Record<string, unknown> = {}
circle['self'] = circle

class User {
  readonly user = 'alice'
}

const wrong: [what: string, match: unknown, problem: RegExp][] = [
  ['nothing', undefined, /got undefined/],
  ['null', null, /got null/],
  ['text', 'alice', /got "alice"/],
  ['a number', 5, /got 5/],
  ['a function', () => true, /got a function/],
  ['a list', ['alice'], /a list/],
  ['an empty object', {}, /empty.*everyone/],
  ['an undefined member', { user: undefined }, /user is undefined/],
  ['an undefined member in depth', { team: { id: undefined } }, /id is undefined/],
  ['an undefined member beside others', { user: 'alice', role: undefined }, /role is undefined/],
  ['an undefined item', { tags: [undefined] }, /0 is undefined/],
  ['NaN', { user: Number('x') }, /user is NaN/],
  ['Infinity', { user: 1 / 0 }, /user is Infinity/],
  ['a big integer', { user: 1n }, /user is the big integer 1n/],
  ['a symbol', { user: Symbol('x') }, /user is Symbol/],
  ['a method', { user() {} }, /user is the function/],
  ['1,001 levels', nested(1001), /more than 1000 levels/],
  ['a million levels', nested(1_000_000), /call stack|levels/],
  ['a map', new Map([['user', 'alice']]), /class Map/],
  ['a map inside', { user: new Map() }, /user is an object of class Map/],
  ['a promise that was not awaited', { user: Promise.resolve(5) }, /user is an object of class Promise/],
  ['an instance of a class', new User(), /class User/],
  ['a date', new Date(0), /got "1970/],
  ['an invalid date', { since: new Date(Number.NaN), user: undefined }, /undefined/],
  ['a toJSON that returns undefined', { toJSON: () => undefined }, /undefined/],
  ['a toJSON that returns an empty object', { toJSON: () => ({}) }, /empty.*everyone/],
  ['a circular reference', circle, /circular/i],
  [
    'a getter that throws',
    {
      get user() {
        throw new Error('out of order')
      },
    },
    /out of order/,
  ],
]

describe('a match that is', () => {
  it.each(wrong)('%s is refused, and no client is disconnected', async (_, match, problem) => {
    const server = tidy(await startServer())
    const alice = await signIn(server, { transport: 'websocket' })
    const channel = channelName()
    await alice.subscribe(channel)
    const message = expect.stringMatching(problem)
    await expect(server.broadcaster.disconnect(match as object)).rejects.toMatchObject({
      code: 'invalidOption',
      message,
    })
    await expect(server.broadcaster.unsubscribe(match as object, channel)).rejects.toMatchObject({
      code: 'invalidOption',
      message,
    })
    await server.publish(channel, 'still here')
    expect(await alice.next()).toMatchObject({ body: 'still here' })
  })

  it.each([undefined, null, 5, ['news'], {}])('correct is refused with the channel %j', async (channel) => {
    const { broadcaster } = tidy(await startServer())
    await expect(
      broadcaster.unsubscribe({ user: 'alice' }, channel as unknown as string),
    ).rejects.toMatchObject({ code: 'invalidOption', message: expect.stringMatching(/channel/) })
  })
})

it('an empty match from a node with an older version, which permitted it, matches every client', async () => {
  const redis = tidy(await startRedis())
  const server = tidy(await startServer({ redis: redis.url, controlChannel: 'nodes' }))
  // The older node ends the long-poll sessions itself.
  const alice = await signIn(server, { transport: 'websocket' })
  await redis.cli('PUBLISH', 'nodes', '{"v":1,"type":"disconnect","match":{}}')
  expect(await isCutOff(alice)).toBe(true)
})

it('an invalid control message does not end the process, with any type', async () => {
  const redis = tidy(await startRedis())
  const node = tidy(await startNodeProcess({ redis: redis.url, controlChannel: 'nodes' }))
  const alice = await signIn(node, { transport: 'websocket' })
  const types = ['__proto__', 'constructor', 'valueOf', 'hasOwnProperty', 'disconnect', 'unsubscribe']
  for (const type of types) {
    for (const match of ['[]', 'null', '"everyone"', '0']) {
      await node.publish('nodes', `{"v":1,"type":"${type}","match":${match},"channel":"news"}`)
    }
  }
  const channel = channelName()
  await alice.subscribe(channel)
  await node.publish(channel, 'still here')
  expect(await alice.next()).toMatchObject({ body: 'still here' })
})
