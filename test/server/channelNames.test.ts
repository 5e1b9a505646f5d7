import { describe, expect, it } from 'vitest'
import { waitingPoll } from '../support/barriers.ts'
import { signIn } from '../support/connect.ts'
import type { LongPollPeer } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startRedis } from '../support/redis.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { transports } from '../support/subject.ts'
import { tidy } from '../support/tidy.ts'

/** Names of properties that every object has, and texts that could have a special meaning between client and Redis. */
const names = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'valueOf',
  'hasOwnProperty',
  '__defineGetter__',
  '',
  '\0',
  'nul\0byte',
  '\r\n',
  '$5\r\nhello\r\n',
  '\uFEFF',
  '\uFFFD',
  '\u{1F600}'.repeat(128),
]

const subjects: [name: string, start: () => Promise<TestServer>][] = [
  ['in process', () => startServer({ pollTime: 0 })],
  ['on Redis', async () => startServer({ pollTime: 0, redis: tidy(await startRedis()).url })],
]

describe.each(subjects)('any text can be a channel, %s', (_, start) => {
  describe.each(transports)('over %s', (transport) => {
    it.each([
      ['without the additions', {}],
      ['with the additions', { __v: 1 }],
    ])('%s: each message arrives once, until the channel is unsubscribed', async (_, auth) => {
      const server = tidy(await start())
      const alice = await signIn(server, { transport, auth })
      for (const channel of names) {
        expect(await alice.subscribe(channel)).toMatchObject({ __type: 'subscribeOk', channel })
        for (const body of ['1', '2', '3']) {
          await server.publish(channel, body)
          expect(await alice.next()).toMatchObject({ __type: 'message', channel, body })
        }
      }
      await alice.hearsNothing()
      for (const channel of names) {
        expect(await alice.unsubscribe(channel)).toEqual({ __type: 'unsubscribeOk', channel })
        await server.publish(channel, 'not for alice')
      }
      await alice.hearsNothing()
    })

    it('missed messages are recovered', async () => {
      const server = tidy(await start())
      const alice = await signIn(server, { transport, auth: { __v: 1 } })
      const bob = await signIn(server, { transport, auth: { __v: 1 } })
      for (const channel of names) {
        const { position } = await alice.subscribe(channel)
        for (const body of ['1', '2']) await server.publish(channel, body)
        expect(await alice.bodies(channel, 2)).toEqual(['1', '2'])
        const answer = await bob.subscribe(channel, { position })
        expect(answer).toMatchObject({ channel, recovered: true })
        expect((answer['messages'] as [string, string][]).map(([body]) => body)).toEqual(['1', '2'])
      }
    })

    it('stats() contains it, also as JSON', async () => {
      const server = tidy(await start())
      const alice = await signIn(server, { transport })
      for (const channel of names) await alice.subscribe(channel)
      if (transport === 'longpoll') await waitingPoll(alice as LongPollPeer)
      const { localSubscriptions } = await server.broadcaster.stats()
      const expected = names.map((channel) => [channel, 1]).sort()
      expect(Object.entries(localSubscriptions).sort()).toEqual(expected)
      const sent = JSON.parse(JSON.stringify(localSubscriptions)) as object
      expect(Object.entries(sent).sort()).toEqual(expected)
      expect(localSubscriptions['isPrototypeOf'], 'a channel that no node has').toBeUndefined()
    })

    it('auth data and context can have such keys', async () => {
      const seen: unknown[] = []
      const redis = tidy(await startRedis())
      const server = tidy(
        await startServer({
          redis: redis.url,
          canConnect: ({ claims }) => ({ claims }),
          canSubscribe: (...args) => seen.push(args) > 0,
        }),
      )
      const claims = '{"__proto__":{"admin":true},"constructor":1,"toString":null}'
      const alice = await signIn(server, { transport, auth: { claims: JSON.parse(claims) as object } })
      await alice.subscribe('news')
      const both = `{"claims":${claims}}`
      expect(JSON.stringify(seen)).toBe(`[[${both},"news",${both},{}]]`)
      expect(({} as Record<string, unknown>)['admin']).toBeUndefined()
      // A match compares own keys only, and all of them.
      await server.broadcaster.unsubscribe({ claims: { valueOf: {} } }, 'news')
      await server.broadcaster.unsubscribe({ claims: JSON.parse('{"__proto__":{"admin":false}}') }, 'news')
      await server.publish('news', 'still hers')
      expect(await alice.next()).toMatchObject({ body: 'still hers' })
      await server.broadcaster.unsubscribe({ claims: JSON.parse('{"__proto__":{"admin":true}}') }, 'news')
      await server.publish('news', 'not hers')
      await alice.hearsNothing()
    })

    it('a name with a lone surrogate is refused, and is not taken for the name with a replacement character', async () => {
      const asked: string[] = []
      const redis = tidy(await startRedis())
      const server = tidy(
        await startServer({
          redis: redis.url,
          canSubscribe: (_, channel) => asked.push(channel) > 0,
        }),
      )
      const alice = await signIn(server, { transport })
      const [half, stead] = ['\uD83D', '\uFFFD']
      await alice.subscribe(stead)
      expect(await alice.subscribe(half)).toEqual({
        __type: 'subscribeError',
        channel: half,
        reason: 'Channel name malformed',
      })
      expect(asked).toEqual([stead])
      expect(await alice.unsubscribe(half)).toEqual({ __type: 'unsubscribeOk', channel: half })
      await server.publish(stead, 'still there')
      expect(await alice.next()).toMatchObject({ channel: stead, body: 'still there' })
    })
  })
})

it.each(['\uD83D', 'news\uDE00', '\uDE00\uD83D'])(
  'publish() and unsubscribe() refuse %j, which UTF-8 can not encode',
  async (channel) => {
    const { broadcaster } = tidy(await startServer())
    await expect(broadcaster.publish(channel, 'x')).rejects.toMatchObject({ code: 'invalidOption' })
    await expect(broadcaster.unsubscribe('everyone', channel)).rejects.toMatchObject({
      code: 'invalidOption',
    })
  },
)

it('channels whose names look alike are different channels', async () => {
  const server = tidy(await startServer({ redis: tidy(await startRedis()).url }))
  const alice = await signIn(server, { transport: 'websocket' })
  const name = channelName()
  await alice.subscribe(`${name}\u00e9`)
  await server.publish(`${name}e\u0301`, 'not for alice')
  await alice.hearsNothing()
})
