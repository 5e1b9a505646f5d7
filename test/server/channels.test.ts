import { defineChannels, SchemaError, text } from '@broadcaster/channels'
import { broadcaster, type BroadcasterError } from '@broadcaster/server'
import { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { signIn } from '../support/connect.ts'
import { startRedis } from '../support/redis.ts'
import { startServer } from '../support/server.ts'
import { transports } from '../support/subject.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'

const channels = defineChannels({
  orders: z.object({ id: z.number() }),
  'room:{id}': z.object({ text: z.string() }),
  'room:{id}:user:{name}': z.string(),
  news: text,
  'bc:{key}': z.unknown(),
})

describe.each(transports)('the option channels, over %s', (transport) => {
  it('refuses names that the map does not have like canSubscribe does, without asking canSubscribe', async () => {
    const asked: string[] = []
    const server = tidy(
      await startServer({
        channels,
        canSubscribe: (_auth, channel) => asked.push(channel) > 0 && channel !== 'news',
      }),
    )
    const alice = await signIn(server, { transport })
    for (const channel of [
      'ordres',
      'room:',
      'room:1:2',
      'ROOM:1',
      '__proto__',
      'constructor',
      '',
      'news',
      'bc:x',
    ])
      expect(await alice.subscribe(channel), channel).toEqual({
        __type: 'subscribeError',
        channel,
        reason: 'Channel refused',
      })
    for (const channel of ['orders', 'room:1', 'room:1:user:bob'])
      expect(await alice.subscribe(channel)).toMatchObject({ __type: 'subscribeOk' })
    expect(asked).toEqual(['news', 'orders', 'room:1', 'room:1:user:bob'])
  })

  it('gives canSubscribe the params of the name', async () => {
    const seen: unknown[] = []
    const server = tidy(
      await startServer({
        channels,
        canConnect: () => ({ rooms: ['42'] }),
        canSubscribe: (_auth, channel, { rooms }, { id, name }: { id?: string; name?: string }) => {
          seen.push([channel, id, name])
          return id === undefined || rooms.includes(id)
        },
      }),
    )
    const alice = await signIn(server, { transport })
    expect(await alice.subscribe('orders')).toMatchObject({ __type: 'subscribeOk' })
    expect(await alice.subscribe('room:42')).toMatchObject({ __type: 'subscribeOk' })
    expect(await alice.subscribe('room:43')).toMatchObject({ __type: 'subscribeError' })
    expect(await alice.subscribe('room:42:user:bob')).toMatchObject({ __type: 'subscribeOk' })
    expect(seen).toEqual([
      ['orders', undefined, undefined],
      ['room:42', '42', undefined],
      ['room:43', '43', undefined],
      ['room:42:user:bob', '42', 'bob'],
    ])
  })

  it('relays what others publish, unchecked, and takes channels from clients as ever', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(
      await startServer({ redis: redis.url, channels, canConnect: () => ({ user: 'alice' }) }),
    )
    const alice = await signIn(server, { transport })
    await alice.subscribe('room:42')
    await alice.subscribe('orders')
    for (const body of ['no JSON', '{"text":5}', '{"text":"hello"}'])
      await redis.cli('PUBLISH', 'room:42', body)
    expect(await alice.bodies('room:42', 3)).toEqual(['no JSON', '{"text":5}', '{"text":"hello"}'])
    await server.broadcaster.unsubscribe({ user: 'alice' }, 'room:42')
    await redis.cli('PUBLISH', 'room:42', 'not hers')
    await redis.cli('PUBLISH', 'orders', 'hers')
    expect(await alice.next()).toMatchObject({ channel: 'orders', body: 'hers' })
  })
})

describe('publish() with the option channels', () => {
  it('sends every body as JSON, text too, except where the schema is `text`', async () => {
    const redis = tidy(await startRedis())
    const live = await ready({ redis: redis.url })
    const heard = await subscriberTo(redis.url, 'orders', 'room:42', 'room:42:user:bob', 'news')
    await live.publish('orders', { id: 1 })
    await live.publish('room:42', { text: 'hello' })
    await live.publish('room:42:user:bob', 'hello')
    await live.publish('news', 'hello')
    await until('all', () => heard.length === 4)
    expect(heard).toEqual([
      ['orders', '{"id":1}'],
      ['room:42', '{"text":"hello"}'],
      ['room:42:user:bob', '"hello"'],
      ['news', 'hello'],
    ])
  })

  it('publishes nothing if the body does not fit, and rejects with the issues', async () => {
    const redis = tidy(await startRedis())
    const live = await ready({ redis: redis.url })
    const heard = await subscriberTo(redis.url, 'orders')
    const circle: unknown[] = []
    circle.push(circle)
    for (const body of [{ id: '1' }, '{"id":1}', Buffer.from('{"id":1}'), undefined, circle, { id: 1n }]) {
      await expect(live.publish('orders', body as never)).rejects.toMatchObject({
        code: 'invalidOption',
        message: expect.stringMatching(/^publish\(\): /),
      })
    }
    const error = await live
      .publish('orders', { id: '1' } as never)
      .catch((e: unknown) => e as BroadcasterError)
    expect(error).toMatchObject({
      message:
        'publish(): A message of channel "orders" does not fit its schema: ' +
        'id: Invalid input: expected number, received string',
    })
    expect((error as BroadcasterError).cause).toBeInstanceOf(SchemaError)
    await live.publish('orders', { id: 1 })
    await until('the body that fits', () => heard.length > 0)
    expect(heard).toEqual([['orders', '{"id":1}']])
  })

  it('rejects for a name that the map does not have, and for one that is reserved', async () => {
    const live = await ready()
    const publish = live.publish as (channel: unknown, body: unknown) => Promise<void>
    await expect(publish('ordres', { id: 1 })).rejects.toMatchObject({
      code: 'invalidOption',
      message: expect.stringContaining('There is no channel "ordres"'),
    })
    await expect(publish(5, { id: 1 })).rejects.toMatchObject({ code: 'invalidOption' })
    await expect(publish('bc:x', { id: 1 })).rejects.toThrow(/bc:x is reserved/)
  })

  it('limits the bytes of the JSON', async () => {
    const live = await ready({ limits: { publishedBytes: 20 } })
    await live.publish('room:1', { text: 'x'.repeat(9) })
    await expect(live.publish('room:1', { text: 'x'.repeat(10) })).rejects.toThrow(/21 bytes/)
  })
})

async function ready(options: { redis?: string; limits?: { publishedBytes: number } } = {}) {
  const live = tidy(broadcaster({ redis: false, ...options, channels }))
  await live.ready()
  return live
}

/** The messages that a connection of its own receives. */
async function subscriberTo(url: string, ...names: string[]): Promise<[string, string][]> {
  const redis = new Redis(url)
  tidy({ close: () => redis.disconnect() })
  const heard: [string, string][] = []
  redis.on('message', (...message: [string, string]) => heard.push(message))
  await redis.subscribe(...names)
  return heard
}
