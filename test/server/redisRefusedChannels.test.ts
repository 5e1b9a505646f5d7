import { describe, expect, it } from 'vitest'
import { waitingPoll } from '../support/barriers.ts'
import { signIn } from '../support/connect.ts'
import { LongPollPeer } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { transports } from '../support/subject.ts'
import { tidy } from '../support/tidy.ts'
import { until, within } from '../support/waiting.ts'
import type { WebSocketPeer } from '../support/webSocketPeer.ts'

/** Starts a server whose Redis user has only the channels that begin with `open` and those of the nodes. */
async function start(options = {}) {
  const redis = tidy(await startRedis())
  const rule = ['on', '>hush', '+@all', '~*', 'resetchannels', '&broadcaster', '&bc:*', '&open*']
  await redis.cli('ACL', 'SETUSER', 'live', ...rule)
  const url = `redis://live:hush@127.0.0.1:${redis.port}`
  const server = tidy(
    await startServer({ redis: url, controlChannel: 'broadcaster', controlNamespace: 'bc:', ...options }),
  )
  return { redis, server }
}

const open = () => channelName('open')
const closed = () => channelName('closed')
const allow = (redis: TestRedis, ...channels: string[]) =>
  redis.cli('ACL', 'SETUSER', 'live', ...channels.map((channel) => `&${channel}`))
/** Takes channels from the user. Redis closes the connections that are subscribed to them. */
const forbid = (redis: TestRedis) =>
  redis.cli('ACL', 'SETUSER', 'live', 'resetchannels', '&broadcaster', '&bc:*', '&open*')
const refusal = (channel: string) => ({ __type: 'subscribeError', channel, reason: 'Channel refused' })
const isHealthy = (server: TestServer) =>
  until('health 200', async () => (await fetch(`${server.url}/health`)).status === 200)

describe.each(transports)('a channel that Redis refuses, over %s', (transport) => {
  it('S5: is refused to its client, and all channels that were requested with it are live', async () => {
    const { redis, server } = await start()
    const alice = await signIn(server, { transport, auth: { __v: 1 } })
    const [one, two, refused] = [open(), open(), closed()]
    const answers = await Promise.all([one, refused, two].map((channel) => alice.subscribe(channel)))
    expect(answers).toMatchObject([
      { __type: 'subscribeOk', channel: one },
      refusal(refused),
      { __type: 'subscribeOk', channel: two },
    ])
    for (const channel of [one, two]) {
      await redis.cli('PUBLISH', channel, channel)
      expect(await alice.next()).toMatchObject({ channel, body: channel })
    }
    expect((await fetch(`${server.url}/health`)).status).toBe(200)
  })

  it('is logged once, with the ACL rule that grants it, and can be requested again later', async () => {
    const { redis, server } = await start()
    const alice = await signIn(server, { transport })
    const channel = closed()
    for (let i = 0; i < 3; i++) expect(await alice.subscribe(channel)).toEqual(refusal(channel))
    expect(server.logs.loud()).toEqual([expect.stringContaining(`ACL SETUSER live &${channel}`)])
    await allow(redis, channel)
    expect(await alice.subscribe(channel)).toEqual({ __type: 'subscribeOk', channel })
    await redis.cli('PUBLISH', channel, 'hello')
    expect(await alice.next()).toMatchObject({ body: 'hello' })
  })

  it('R5: does not keep other channels from recovering after a reconnect while a client requests it again and again', async () => {
    const { redis, server } = await start()
    const channels = Array.from({ length: 20 }, open)
    const alice = await signIn(server, { transport, auth: { __v: 1 } })
    for (const channel of channels) await alice.subscribe(channel)
    const mallory = (await signIn(server, { transport: 'websocket' })) as WebSocketPeer
    let isDone = false
    const asking = (async () => {
      while (!isDone) {
        const channel = closed()
        expect((await mallory.subscribe(channel)).__type).not.toBe('subscribeOk')
      }
    })()
    for (let round = 0; round < 2; round++) {
      await redis.cli('CLIENT', 'KILL', 'TYPE', 'pubsub')
      const told = await alice.take(channels.length)
      expect(new Set(told.map(({ channel }) => channel))).toEqual(new Set(channels))
      expect(told.filter(({ __type, reason }) => __type !== 'gap' || reason !== 'broker')).toEqual([])
      await isHealthy(server)
      for (const channel of channels) expect(await redis.cli('PUBLISH', channel, 'x')).toBe('1')
      const heard = await alice.take(channels.length)
      expect(new Set(heard.map(({ channel }) => channel))).toEqual(new Set(channels))
    }
    isDone = true
    await asking
  })

  it('S5: is taken from a client that had it, and the client is told, and other clients keep their channels', async () => {
    const { redis, server } = await start()
    const [kept, lost] = [open(), closed()]
    await allow(redis, lost)
    const alice = await signIn(server, { transport, auth: { __v: 1 } })
    for (const channel of [kept, lost])
      expect(await alice.subscribe(channel)).toMatchObject({ __type: 'subscribeOk' })
    await forbid(redis)
    const told = await alice.take(2)
    expect(told).toEqual(
      expect.arrayContaining([
        { __type: 'unsubscribed', channel: lost, reason: 'Channel refused' },
        expect.objectContaining({ __type: 'gap', channel: kept }),
      ]),
    )
    await isHealthy(server)
    expect(await redis.cli('PUBLISH', kept, 'hello')).toBe('1')
    expect(await alice.next()).toMatchObject({ channel: kept, body: 'hello' })
    expect(await alice.subscribe(lost)).toEqual(refusal(lost))
    await allow(redis, lost)
    expect(await alice.subscribe(lost)).toMatchObject({ __type: 'subscribeOk' })
  })
})

describe('a client of the base whose channel Redis refuses from now on', () => {
  it.each([true, false])(
    'R6: is closed over websocket, and is refused when it subscribes again (recovery: %s)',
    async (recovery) => {
      const { redis, server } = await start(recovery ? {} : { recovery: false })
      const channel = closed()
      await allow(redis, channel)
      const alice = (await signIn(server, { transport: 'websocket' })) as WebSocketPeer
      await alice.subscribe(channel)
      await forbid(redis)
      expect(await alice.closed).toEqual({ code: 4410, reason: 'Messages were missed' })
      const again = await signIn(server, { transport: 'websocket' })
      expect(await again.subscribe(channel)).toEqual(refusal(channel))
    },
  )

  it('loses its session over longpoll when its poll waits, and is refused when it subscribes again', async () => {
    const { redis, server } = await start()
    const channel = closed()
    await allow(redis, channel)
    const alice = new LongPollPeer(server)
    await alice.auth()
    await alice.subscribe(channel)
    const poll = await waitingPoll(alice)
    await forbid(redis)
    const { status, messages } = await within(poll.answer, 'the poll to be answered')
    expect(status).toBe(503)
    expect(messages).toEqual([{ __type: 'serverError', reason: 'Messages were missed' }])
    const again = await signIn(server, { transport: 'longpoll' })
    expect(await again.subscribe(channel)).toEqual(refusal(channel))
  })
})

describe('very many channels that Redis refuses', () => {
  it('are not all logged, and the permitted channels among them are live', async () => {
    const { redis, server } = await start({ limits: { channelsPerConnection: 5000 } })
    const alice = (await signIn(server, { transport: 'websocket' })) as WebSocketPeer
    const channels = Array.from({ length: 1500 }, (_, i) => (i % 3 === 0 ? open() : closed()))
    for (const channel of channels) await alice.send({ __type: 'subscribe', channel })
    const answers = new Map(
      (await alice.take(channels.length)).map(({ channel, __type }) => [channel, __type]),
    )
    for (const channel of channels) {
      expect(answers.get(channel)).toBe(channel.startsWith('open') ? 'subscribeOk' : 'subscribeError')
    }
    expect(server.logs.loud().length).toBeLessThanOrEqual(100)
    expect(server.logs.loud().at(-1)).toContain('further ones are not logged')
    await redis.cli('PUBLISH', channels[1497]!, 'hello')
    expect(await alice.next()).toMatchObject({ channel: channels[1497], body: 'hello' })
  })
})
