import type { GapReason } from '@broadcaster/client'
import type { TestBroadcasterOptions } from '@broadcaster/testing/client'
import { describe, expect, it, vi } from 'vitest'
import { transports } from '../support/subject.ts'
import { another, create, listen } from './support.ts'

describe.each(transports)('the test broadcaster, over %s', (mode) => {
  const make = () => create({ client: { mode } })

  it('delivers a message before publish() resolves, also if it was called before the subscription was confirmed', async () => {
    const { client, publish } = make()
    const { heard, subscription } = listen(client, 'news')
    await publish('news', 'one')
    expect(heard).toEqual(['one'])
    expect(subscription.status).toBe('subscribed')
    expect(client.transport).toBe(mode)
    await publish('news', { two: 2 })
    await publish('elsewhere', 'three')
    expect(heard).toEqual(['one', '{"two":2}'])
  })

  it('delivers in the order of the calls, without await', async () => {
    const { client, publish } = make()
    const { heard } = listen(client, 'news')
    const bodies = Array.from({ length: 50 }, (_, index) => String(index))
    await Promise.all(bodies.map((body) => publish('news', body)))
    expect(heard).toEqual(bodies)
  })

  it('refuses a channel to a client that asks for it, until it is allowed', async () => {
    const { client, refuse, allow, settled, expire } = make()
    await refuse('secret')
    const { subscription } = listen(client, 'secret')
    await settled()
    expect(subscription.status).toBe('refused')
    expect(subscription.error).toMatchObject({ code: 'refused' })
    await allow('secret')
    expect(subscription.status).toBe('refused')
    await expire()
    expect(subscription.status).toBe('subscribed')
  })

  it('takes a channel from a client that has it', async () => {
    const { client, refuse, publish, subscriptions } = make()
    const [secret, news] = [listen(client, 'secret'), listen(client, 'news')]
    await publish('secret', 'one')
    await refuse('secret')
    expect(secret.subscription.error).toMatchObject({ code: 'unsubscribed' })
    await publish('secret', 'two')
    await publish('news', 'three')
    expect([secret.heard, news.heard]).toEqual([['one'], ['three']])
    expect(subscriptions()).toEqual({ news: 1 })
  })

  it('replays what was published while the network was down', async () => {
    const { client, drop, restore, publish } = make()
    const { heard, gaps, subscription } = listen(client, 'news')
    await publish('news', 'one')
    await drop()
    await publish('news', 'two')
    await publish('news', 'three')
    expect(heard).toEqual(['one'])
    await restore()
    expect(heard).toEqual(['one', 'two', 'three'])
    expect(gaps).toEqual([])
    expect(subscription.status).toBe('subscribed')
    expect(client.status).toBe('connected')
  })

  it('can be dropped before anything connects', async () => {
    const { client, drop, restore, publish } = make()
    await drop()
    const { heard } = listen(client, 'news')
    await publish('news', 'missed')
    expect(client.status).toBe('reconnecting')
    await restore()
    await publish('news', 'heard')
    expect(heard).toEqual(['heard'])
  })

  it.each(['expired', 'overflow', 'broker', 'node'] satisfies GapReason[])(
    'tells of a gap with reason %s, connected or not, and continues',
    async (reason) => {
      const { client, gap, publish, drop, restore } = make()
      const { heard, gaps } = listen(client, 'news')
      await publish('news', 'one')
      await gap('news', reason)
      expect(gaps).toEqual([reason])
      await publish('news', 'two')
      await drop()
      await publish('news', 'lost')
      await gap('news', reason)
      await restore()
      expect(gaps).toEqual([reason, reason])
      await publish('news', 'three')
      expect(heard).toEqual(['one', 'two', 'three'])
    },
  )

  it('publishes a message again, which then comes twice', async () => {
    const { client, publish, duplicate } = make()
    const { heard } = listen(client, 'news')
    await publish('news', 'one')
    await duplicate('news')
    expect(heard).toEqual(['one', 'one'])
    await expect(duplicate('quiet')).rejects.toThrow("nothing was published to 'quiet'")
  })

  it('makes clients authenticate again, with fresh credentials, and loses nothing', async () => {
    let token = 0
    const broadcaster = create({ client: { mode, auth: () => ({ token: ++token }) } })
    const { client, publish, expire, sent } = broadcaster
    const { heard, gaps } = listen(client, 'news')
    await publish('news', 'one')
    await expire()
    await publish('news', 'two')
    expect(heard).toEqual(['one', 'two'])
    expect(gaps).toEqual([])
    expect(sent('auth').map((auth) => auth['token'])).toEqual([1, 2])
  })

  it('refuses the credentials that canConnect refuses', async () => {
    let isWelcome = true
    const canConnect = async (auth: Record<string, unknown>) => auth['user'] === 'alice' && isWelcome
    const broadcaster = create({ canConnect, client: { mode, auth: { user: 'alice' } } })
    const { subscription } = listen(broadcaster.client, 'news')
    await broadcaster.settled()
    expect(subscription.status).toBe('subscribed')
    isWelcome = false
    await broadcaster.expire()
    expect(broadcaster.client.error).toMatchObject({ code: 'unauthorized' })
    expect(subscription.status).toBe('error')
  })

  it.each([NaN, -1, 'soon', undefined])(
    'refuses clients with the expiresAt %o, and says so',
    async (expiresAt) => {
      const log = vi.spyOn(console, 'error').mockImplementation(() => {})
      const { client } = create({ canConnect: () => ({ expiresAt: expiresAt as number }), client: { mode } })
      await expect(client.connect()).rejects.toMatchObject({ code: 'unauthorized' })
      const [[, error]] = log.mock.calls as [[string, Error]]
      expect(error.message).toBe(
        `canConnect: expiresAt has to be in ms since 1970, or a Date, not ${String(expiresAt)}`,
      )
      log.mockRestore()
    },
  )

  it('refuses clients if canConnect throws, and says so', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    const error = new Error('no database')
    const { client } = create({ canConnect: () => Promise.reject(error), client: { mode } })
    await expect(client.connect()).rejects.toMatchObject({ code: 'unauthorized' })
    expect(log.mock.calls).toEqual([[expect.stringContaining('canConnect'), error]])
    log.mockRestore()
  })

  it('counts the clients of each channel', async () => {
    const broadcaster = make()
    const { subscription } = listen(broadcaster.client, 'news')
    const others = [another(broadcaster, { mode: 'longpoll' }), another(broadcaster, { mode: 'websocket' })]
    for (const other of others) listen(other, 'news')
    listen(others[0]!, 'orders')
    await broadcaster.settled()
    expect(broadcaster.subscriptions()).toEqual({ news: 3, orders: 1 })
    subscription()
    await broadcaster.client.unsubscribe('news')
    expect(broadcaster.subscriptions()).toEqual({ news: 2, orders: 1 })
  })

  it('tells what clients have sent', async () => {
    const { client, sent, publish } = make()
    listen(client, 'news')
    await publish('news', 'one')
    const types = sent().map(({ __type }) => __type)
    expect(types).toEqual(
      mode === 'websocket' ? ['auth', 'subscribe'] : ['auth', 'subscribe', 'poll', 'poll'],
    )
    expect(sent('subscribe')).toMatchObject([{ channel: 'news' }])
    expect(sent('unsubscribe')).toEqual([])
  })

  it('loses what is delayed when the network drops, and replays it', async () => {
    const { client, delay, publish, drop, restore } = make()
    const { heard } = listen(client, 'news')
    await publish('news', 'one')
    delay(60_000)
    await publish('news', 'two')
    await drop()
    delay(0)
    await restore()
    await publish('news', 'three')
    expect(heard).toEqual(['one', 'two', 'three'])
  })

  it('is one of several, which know nothing of each other', async () => {
    const [one, two] = [make(), make()]
    const [first, second] = [listen(one.client, 'news'), listen(two.client, 'news')]
    await Promise.all([one.publish('news', '1'), two.publish('news', '2'), one.drop()])
    await two.publish('news', '3')
    expect([first.heard, second.heard]).toEqual([['1'], ['2', '3']])
    expect([one.client.status, two.client.status]).toEqual(['reconnecting', 'connected'])
    expect(one.url).not.toBe(two.url)
  })

  it('ends with close(), which may be called twice', async () => {
    const { client, publish, close, subscriptions } = make()
    const { subscription } = listen(client, 'news')
    await publish('news', 'one')
    await Promise.all([close(), close()])
    await close()
    expect(client.status).toBe('disconnected')
    expect(subscription.status).toBe('subscribing')
    expect(subscriptions()).toEqual({})
    await expect(publish('news', 'two')).rejects.toThrow('publish(): the test broadcaster was closed')
  })

  it('ends with close() while everything is delayed or dropped', async () => {
    const { client, delay, drop, settled, close } = make()
    listen(client, 'news')
    await settled()
    delay(60_000)
    listen(client, 'orders')
    await drop()
    await close()
    expect(client.status).toBe('disconnected')
  })
})

describe('the test broadcaster', () => {
  it('falls back to long-poll, if the application brings no WebSocket', async () => {
    const broadcaster = create()
    vi.stubGlobal('WebSocket', undefined)
    const { url, fetch } = broadcaster
    const client = another(broadcaster, { WebSocket: undefined as never, fetch })
    await client.connect()
    vi.unstubAllGlobals()
    expect(url).toMatch(/^http:/)
    expect(client.transport).toBe('longpoll')
  })

  it('refuses what the server refuses: reserved channels, and too many channels', async () => {
    const { client, settled } = create({ limits: { channelsPerConnection: 1 } })
    const channels = ['broadcaster', 'bc:sessions', '__keyspace@0__:news', 'news', 'orders']
    const subscriptions = channels.map((channel) => listen(client, channel).subscription)
    await settled()
    expect(subscriptions.map(({ status }) => status)).toEqual([
      'refused',
      'refused',
      'refused',
      'subscribed',
      'refused',
    ])
    expect(subscriptions[4]!.error!.message).toContain('Too many channels')
  })

  it('has a gap for clients that missed more messages than are kept', async () => {
    const { client, publish, drop, restore } = create()
    const { heard, gaps } = listen(client, 'news')
    await publish('news', 'first')
    await drop()
    await Promise.all(Array.from({ length: 1001 }, () => publish('news', 'missed')))
    await restore()
    expect(gaps).toEqual(['overflow'])
    expect(heard).toEqual(['first'])
  })

  it('says what is wrong with an argument', async () => {
    const { publish, gap, delay } = create()
    await expect(publish('news', undefined)).rejects.toThrow("JSON can't represent a body of type undefined")
    await expect(gap('news', 'bad weather' as GapReason)).rejects.toThrow(/expired, overflow, broker, node/)
    for (const ms of [-1, NaN, 2 ** 31]) expect(() => delay(ms)).toThrow(`got ${ms}`)
  })

  it.each([
    [{ canSubscribe: () => true }, 'no option canSubscribe, there are client, canConnect, limits'],
    [{ limits: { connections: 5 } }, 'no limit connections, there are authBytes, channelBytes'],
    [{ limits: { authBytes: 0.5 } }, 'limits.authBytes should be a whole number above 0, got 0.5'],
    [{ canConnect: true }, 'canConnect should be a function, got true'],
    [{ client: { mode: 'pigeon' } }, "mode should be 'auto', 'websocket' or 'longpoll'"],
  ])('says what is wrong with %j', (options, words) => {
    expect(() => create(options as TestBroadcasterOptions)).toThrow(words)
  })

  it('goes on after a task that failed', async () => {
    const { client, publish } = create()
    const { heard } = listen(client, 'news')
    const circle: { self?: unknown } = {}
    circle.self = circle
    await expect(publish('news', circle)).rejects.toThrow(/circular/)
    await publish('news', 'one')
    expect(heard).toEqual(['one'])
  })

  it('lets a handler publish', async () => {
    const { client, publish, settled } = create()
    const { heard } = listen(client, 'echo')
    client.subscribe('news', (body) => publish('echo', body))
    await publish('news', 'one')
    await settled()
    expect(heard).toEqual(['one'])
  })
})
