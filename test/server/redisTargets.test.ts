import type { BroadcasterOptions } from '@broadcaster/server'
import { Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import { describe, expect, it } from 'vitest'
import { waitingPoll } from '../support/barriers.ts'
import { connect, signIn } from '../support/connect.ts'
import { LongPollPeer } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { startServer } from '../support/server.ts'
import { transports, type Subject } from '../support/subject.ts'
import { tidy } from '../support/tidy.ts'
import { within } from '../support/waiting.ts'

async function works(subject: Subject, publish: (channel: string, body: string) => Promise<unknown>) {
  for (const transport of transports) {
    const channel = channelName()
    const alice = await signIn(subject, { transport })
    await alice.subscribe(channel)
    await publish(channel, 'hello')
    expect(await alice.next()).toEqual({ __type: 'message', channel, body: 'hello' })
  }
}

describe('the option redis accepts', () => {
  it('a URL', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(await startServer({ redis: redis.url }))
    await works(server, (channel, body) => redis.cli('PUBLISH', channel, body))
  })

  it('a URL with a password and a database', async () => {
    const redis = tidy(await startRedis({ args: ['--requirepass', 'hush'] }))
    const url = `redis://:hush@127.0.0.1:${redis.port}/3`
    const server = tidy(await startServer({ redis: url }))
    await works(server, (channel, body) => redis.cli('-a', 'hush', 'PUBLISH', channel, body))
    expect(await redis.cli('-a', 'hush', 'DBSIZE')).toBe('0')
    expect(await redis.cli('-a', 'hush', '-n', '3', 'DBSIZE')).not.toBe('0')
  })

  it('ioredis options', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(await startServer({ redis: { host: '127.0.0.1', port: redis.port, db: 2 } }))
    await works(server, (channel, body) => redis.cli('PUBLISH', channel, body))
    expect(await redis.cli('-n', '2', 'DBSIZE')).not.toBe('0')
  })

  it.each([
    ['6', Redis],
    ['5', Redis5 as unknown as typeof Redis],
  ])('an instance of ioredis %s, which stays yours', async (_, Instance) => {
    const redis = tidy(await startRedis())
    const mine = new Instance(redis.url, { keyPrefix: 'mine:', connectionName: 'mine' })
    tidy({ close: () => mine.disconnect() })
    const server = await startServer({ redis: mine })
    await works(server, (channel, body) => redis.cli('PUBLISH', channel, body))
    const keys = (await redis.cli('KEYS', '*')).split('\n').filter(Boolean)
    expect(
      keys.filter((key) => !key.startsWith('bc:')),
      'your prefix is for your keys',
    ).toEqual([])
    await server.close()
    expect(await mine.ping(), 'it was not closed with the server').toBe('PONG')
  })

  it('false, for one process without Redis', async () => {
    const server = tidy(await startServer({ redis: false }))
    await works(server, (channel, body) => server.broadcaster.publish(channel, body))
    expect((await fetch(`${server.url}/health`)).status).toBe(200)
  })
})

describe('pubSub', () => {
  it('can be another Redis, which gets the messages but not the sessions', async () => {
    const [here, there] = [tidy(await startRedis()), tidy(await startRedis())]
    const server = tidy(await startServer({ redis: here.url, pubSub: there.url }))
    await works(server, (channel, body) => there.cli('PUBLISH', channel, body))
    expect((await here.cli('KEYS', 'bc:*')).split('\n').filter(Boolean)).not.toEqual([])
    const alice = await signIn(server, { transport: 'websocket' })
    const channel = channelName()
    await alice.subscribe(channel)
    await here.cli('PUBLISH', channel, 'not for alice')
    await server.broadcaster.publish(channel, 'for alice')
    expect(await alice.next()).toMatchObject({ body: 'for alice' })
  })
})

describe('controlNamespace and controlChannel', () => {
  const busy = async (options: BroadcasterOptions) => {
    const redis = tidy(await startRedis())
    const server = tidy(await startServer({ redis: redis.url, ...options }))
    const channel = channelName()
    for (const transport of transports) {
      const alice = await signIn(server, {
        transport,
        auth: { __v: 1, __client: transport, __generation: 1 },
      })
      await alice.subscribe(channel)
      await redis.cli('PUBLISH', channel, 'hello')
      await alice.next()
    }
    const poller = new LongPollPeer(server)
    await poller.auth()
    await waitingPoll(poller)
    await server.broadcaster.stats()
    const [keys, channels] = await Promise.all([redis.cli('KEYS', '*'), redis.cli('PUBSUB', 'CHANNELS')])
    return {
      keys: keys.split('\n'),
      channels: channels.split('\n').filter((name) => name !== channel),
      server,
    }
  }

  it('contain all our keys and channels', async () => {
    const { keys, channels } = await busy({ controlNamespace: 'shop:live:', controlChannel: 'shop nodes' })
    expect(keys.filter((key) => !key.startsWith('shop:live:'))).toEqual([])
    expect(channels).toContain('shop nodes')
    expect(channels.filter((name) => name !== 'shop nodes' && !name.startsWith('shop:live:'))).toEqual([])
  })

  it('are bc: and broadcaster by default', async () => {
    const { keys, channels } = await busy({})
    expect(keys.length).toBeGreaterThan(0)
    expect(keys.filter((key) => !key.startsWith('bc:'))).toEqual([])
    expect(channels).toContain('broadcaster')
    expect(channels.filter((name) => name !== 'broadcaster' && !name.startsWith('bc:'))).toEqual([])
  })

  it('S5: are refused to clients, also with other names than the defaults', async () => {
    const { channels, server } = await busy({ controlNamespace: 'shop:', controlChannel: 'shop nodes' })
    for (const transport of transports) {
      const mallory = await connect(server, { transport })
      await mallory.auth()
      for (const channel of channels) {
        expect(await mallory.subscribe(channel)).toEqual({
          __type: 'subscribeError',
          channel,
          reason: 'Channel refused',
        })
      }
    }
  })

  it('keep two applications on one Redis apart', async () => {
    const redis = tidy(await startRedis())
    const [shop, blog] = ['shop', 'blog'].map((name) => ({
      redis: redis.url,
      controlNamespace: `${name}:`,
      controlChannel: `${name}-nodes`,
    }))
    const [one, two] = [tidy(await startServer(shop)), tidy(await startServer(blog))]
    const alice = new LongPollPeer(one)
    await alice.auth()
    const { token } = alice
    const { status } = await new LongPollPeer(two).post({ __type: 'poll', seq: '0', __token: token })
    expect(status).toBe(401)
    expect((await two.broadcaster.stats()).connections).toBe(0)
  })
})

describe('ready()', () => {
  it.each([
    ['a wrong password', ':wrong@', ''],
    ['a database that does not exist', ':hush@', '/99'],
  ])('rejects with a clear error for %s', async (_, credentials, database) => {
    const redis = tidy(await startRedis({ args: ['--requirepass', 'hush'] }))
    const url = `redis://${credentials}127.0.0.1:${redis.port}${database}`
    const server = tidy(await startServer({ redis: url }, { ready: false }))
    await expect(within(server.broadcaster.ready(), 'ready()')).rejects.toMatchObject({
      name: 'BroadcasterError',
      code: 'brokerRefused',
      message: expect.stringMatching(/Redis/),
    })
    expect((await fetch(`${server.url}/health`)).status).toBe(503)
  })

  it('can be called repeatedly', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(await startServer({ redis: redis.url }))
    await Promise.all([server.broadcaster.ready(), server.broadcaster.ready()])
    await server.broadcaster.ready()
  })
})

it('a node has two connections to Redis, and one more with a separate pubSub', async () => {
  const [redis, pubSub] = [tidy(await startRedis()), tidy(await startRedis())]
  /** Without the connection that asks. */
  const connections = async ({ cli }: TestRedis) =>
    (await cli('CLIENT', 'LIST'))
      .trim()
      .split('\n')
      .filter((line) => !line.includes('cmd=client')).length
  const options = (port: number) => ({ host: '127.0.0.1', port })
  const one = tidy(await startServer({ redis: options(redis.port) }))
  expect(await connections(redis)).toBe(2)
  await one.close()
  tidy(await startServer({ redis: options(redis.port), pubSub: options(pubSub.port) }))
  expect([await connections(redis), await connections(pubSub)]).toEqual([1, 2])
})
