import { describe, expect, it } from 'vitest'
import { connect, signIn } from '../support/connect.ts'
import { channelName } from '../support/names.ts'
import { startRedis } from '../support/redis.ts'
import { startNodes, startServer } from '../support/server.ts'
import { transports } from '../support/subject.ts'
import { tidy } from '../support/tidy.ts'
import { sleep } from '../support/waiting.ts'

describe.each(transports)('callbacks, over %s', (transport) => {
  it('every client can connect and subscribe to every channel if there are none', async () => {
    const server = tidy(await startServer())
    const alice = await signIn(server, { transport })
    expect(await alice.subscribe(channelName())).toMatchObject({ __type: 'subscribeOk' })
  })

  it('canConnect gets the auth data of the client, without the reserved keys', async () => {
    const seen: object[] = []
    const server = tidy(await startServer({ canConnect: (auth) => seen.push(auth) > 0 }))
    const sent = { user: 'alice', nested: { list: [1, null], __inner: 1 }, channel: 'x', seq: 1 }
    await signIn(server, { transport, auth: { ...sent, __v: 1, __client: 'c', __generation: 1, __x: 1 } })
    expect(seen).toEqual([sent])
  })

  it.each([
    ['true', true],
    ['an object', { user: 'alice' }],
    ['a promise of true', Promise.resolve(true)],
    ['a promise of an object', Promise.resolve({})],
  ])('canConnect accepts with %s', async (_, answer) => {
    const server = tidy(await startServer({ canConnect: () => answer }))
    const alice = await connect(server, { transport })
    expect(await alice.auth()).toMatchObject({ __type: 'authOk' })
  })

  it.each([
    ['false', false],
    ['a promise of false', Promise.resolve(false)],
    ['undefined', undefined],
    ['null', null],
    ['some other value that is not true', 'yes'],
  ])('canConnect refuses with %s', async (_, answer) => {
    const server = tidy(await startServer({ canConnect: () => answer as boolean }))
    const alice = await connect(server, { transport })
    expect(await alice.auth()).toEqual({ __type: 'authError', reason: 'Unauthorized' })
  })

  it.each([
    [
      'throws',
      () => {
        throw new Error('database down')
      },
    ],
    ['rejects', () => sleep(1).then(() => Promise.reject(new Error('database down')))],
  ])(
    'canConnect refuses when it %s, and the error is logged and not sent to the client',
    async (_, canConnect) => {
      const server = tidy(await startServer({ canConnect }))
      const alice = await connect(server, { transport })
      expect(await alice.auth()).toEqual({ __type: 'authError', reason: 'Unauthorized' })
      expect(server.logs.loud('database down')).toEqual([expect.stringContaining('canConnect')])
    },
  )

  it('canSubscribe gets auth data, channel and the context that canConnect returned', async () => {
    const seen: unknown[][] = []
    const server = tidy(
      await startServer({
        canConnect: async (auth) => ({ user: String(auth['name']), roles: ['reader'], since: 5 }),
        canSubscribe: (...args) => seen.push(args) > 0,
      }),
    )
    const channel = channelName()
    const alice = await signIn(server, { transport, auth: { name: 'alice' } })
    await alice.subscribe(channel)
    expect(seen).toEqual([[{ name: 'alice' }, channel, { user: 'alice', roles: ['reader'], since: 5 }, {}]])
  })

  it('canSubscribe gets the same on another node', async () => {
    const redis = tidy(await startRedis())
    const cluster = tidy(
      await startNodes(2, {
        redis: redis.url,
        canConnect: (auth) => ({ user: String(auth['name']) }),
        canSubscribe: (auth, channel, context) =>
          channel.startsWith(context['user'] as string) && 'name' in auth,
      }),
    )
    const alice = await signIn(cluster, { transport, auth: { name: 'alice' } })
    for (let i = 0; i < 3; i++) {
      const own = channelName('alice')
      expect(await alice.subscribe(own)).toMatchObject({ __type: 'subscribeOk' })
      expect(await alice.subscribe(channelName('bob'))).toMatchObject({ __type: 'subscribeError' })
      await cluster.publish(own, 'hello')
      expect(await alice.next()).toMatchObject({ body: 'hello' })
    }
  })

  it.each([
    ['false', () => false],
    ['a promise of false', async () => false],
    ['some other value that is not true', () => 1 as unknown as boolean],
  ])('canSubscribe refuses with %s', async (_, canSubscribe) => {
    const server = tidy(await startServer({ canSubscribe }))
    const channel = channelName()
    const alice = await signIn(server, { transport })
    expect(await alice.subscribe(channel)).toEqual({
      __type: 'subscribeError',
      channel,
      reason: 'Channel refused',
    })
    await server.publish(channel, 'not for alice')
    expect(await alice.unsubscribe(channel)).toEqual({ __type: 'unsubscribeOk', channel })
  })

  it.each([
    [
      'throws',
      () => {
        throw new Error('database down')
      },
    ],
    ['rejects', () => sleep(1).then(() => Promise.reject(new Error('database down')))],
  ])(
    'canSubscribe refuses when it %s, and the error is logged and not sent to the client',
    async (_, canSubscribe) => {
      const server = tidy(await startServer({ canSubscribe }))
      const channel = channelName()
      const alice = await signIn(server, { transport })
      expect(await alice.subscribe(channel)).toEqual({
        __type: 'subscribeError',
        channel,
        reason: 'Channel refused',
      })
      expect(server.logs.loud('database down')).toEqual([expect.stringContaining('canSubscribe')])
    },
  )

  it('canSubscribe is called for each subscribe', async () => {
    let isOpen = true
    const server = tidy(await startServer({ canSubscribe: () => isOpen }))
    const channel = channelName()
    const alice = await signIn(server, { transport })
    expect(await alice.subscribe(channel)).toMatchObject({ __type: 'subscribeOk' })
    await alice.unsubscribe(channel)
    isOpen = false
    expect(await alice.subscribe(channel)).toMatchObject({ __type: 'subscribeError' })
  })

  it('canSubscribe is not called for a channel that is refused anyway', async () => {
    const seen: string[] = []
    const server = tidy(
      await startServer({
        canSubscribe: (_, channel) => seen.push(channel) > 0,
        controlChannel: 'nodes only',
        limits: { channelBytes: 30 },
      }),
    )
    const alice = await signIn(server, { transport })
    for (const channel of ['nodes only', 'x'.repeat(31)]) {
      expect(await alice.subscribe(channel)).toMatchObject({ __type: 'subscribeError', channel })
    }
    await alice.send({ __type: 'subscribe' })
    await alice.next()
    expect(seen).toEqual([])
  })

  it('a client that waits for canSubscribe delays neither other clients nor its other channels', async () => {
    let open = () => {}
    const gate = new Promise<void>((resolve) => (open = resolve))
    const slow = channelName('slow')
    const server = tidy(
      await startServer({ canSubscribe: (_, channel) => (channel === slow ? gate.then(() => true) : true) }),
    )
    const alice = await signIn(server, { transport })
    const waiting = alice.subscribe(slow)
    const quick = channelName()
    expect(await alice.subscribe(quick)).toEqual({ __type: 'subscribeOk', channel: quick })
    const bob = await signIn(server, { transport })
    expect(await bob.subscribe(quick)).toMatchObject({ __type: 'subscribeOk' })
    open()
    expect(await waiting).toEqual({ __type: 'subscribeOk', channel: slow })
  })
})
