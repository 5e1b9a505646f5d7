import { describe, expect, it, vi } from 'vitest'
import { stopTime, withoutWaiting } from './fakeTime.ts'
import {
  collect,
  connectWebSocket,
  hear,
  makeClient,
  reaches,
  scriptedServer,
  until,
  expectSilence,
} from './scriptedServer.ts'

const message = (channel: string, body: string) => ({ __type: 'message', channel, body })
const nothing = () => {}

describe('subscribing', () => {
  it('is confirmed by the server, and after that every message arrives', async () => {
    const { client, socket } = await connectWebSocket()
    const news = collect()
    const onStatus = vi.fn()
    const subscription = client.subscribe('news', news, { onStatus })
    expect([subscription.channel, subscription.status, subscription.error]).toEqual([
      'news',
      'subscribing',
      null,
    ])
    expect(await socket.next()).toEqual({ __type: 'subscribe', channel: 'news' })
    socket.send({ __type: 'subscribeOk', channel: 'news', position: 'p0' }, message('news', 'hello'))
    await subscription.ready
    expect(subscription.status).toBe('subscribed')
    expect(onStatus.mock.calls).toEqual([['subscribed', null]])
    expect(await news.next()).toBe('hello')
  })

  it('sends one request for several subscriptions, and all of them get every message', async () => {
    const { client, socket } = await connectWebSocket()
    const [one, two, three] = [collect(), collect(), collect()]
    client.subscribe('news', one)
    client.subscribe('news', two)
    await socket.confirm('news')
    socket.send(message('news', 'a'))
    expect(await two.next()).toBe('a')
    // Ready at once, because no request is needed.
    const late = client.subscribe('news', three)
    expect(late.status).toBe('subscribed')
    await late.ready
    await expectSilence(client, socket)
    socket.send(message('news', 'b'))
    expect(await three.next()).toBe('b')
    expect(await one.take(2)).toEqual(['a', 'b'])
    expect(await two.next()).toBe('b')
  })

  it('works with any name', async () => {
    const { client, socket } = await connectWebSocket()
    for (const name of ['', 'with spaces', '__proto__', 'constructor', 'ключ', 'a'.repeat(500)]) {
      const heard = collect()
      const { ready } = client.subscribe(name, heard)
      await socket.confirm(name, { position: 'p' })
      await ready
      socket.send(message(name, `to ${name}`))
      expect(await heard.next()).toBe(`to ${name}`)
    }
  })

  it('ends at once for the handler with the returned function, and a second call does nothing', async () => {
    const { client, socket } = await connectWebSocket()
    const [one, two] = [collect(), collect()]
    const stop = client.subscribe('news', one)
    client.subscribe('news', two)
    await socket.confirm('news')
    stop()
    stop()
    socket.send(message('news', 'a'))
    expect(await two.next()).toBe('a')
    expect(one.pending).toEqual([])
    await expectSilence(client, socket)
  })

  it('may be started and ended by a handler during a delivery', async () => {
    const { client, socket } = await connectWebSocket()
    const [ended, added, last] = [collect(), collect(), collect()]
    const stopFirst = client.subscribe('news', () => {
      stopFirst()
      stopEnded()
      client.subscribe('news', added)
    })
    const stopEnded = client.subscribe('news', ended)
    client.subscribe('news', last)
    await socket.confirm('news')
    socket.send(message('news', 'a'), message('news', 'b'))
    expect(await last.take(2)).toEqual(['a', 'b'])
    expect(added.pending).toEqual(['b'])
    expect(ended.pending).toEqual([])
  })

  it('before there is a connection waits for the connection', async () => {
    const server = await scriptedServer()
    const client = makeClient(server.url, { mode: 'websocket' })
    const { ready } = client.subscribe('news', nothing)
    const stop = client.subscribe('sport', nothing)
    stop()
    const socket = await server.accept()
    await socket.confirm('news')
    await ready
    // sport has no subscription any more.
    await expectSilence(client, socket)
  })
})

describe('when the last subscription ends', () => {
  it('the channel stays subscribed for one second, and is then unsubscribed', async () => {
    const { client, socket } = await connectWebSocket()
    const stop = client.subscribe('news', nothing)
    await socket.confirm('news')
    await stop.ready
    stopTime()
    stop()
    vi.advanceTimersByTime(999)
    await expectSilence(client, socket)
    vi.advanceTimersByTime(1)
    expect(await socket.next()).toEqual({ __type: 'unsubscribe', channel: 'news' })
  })

  it('nothing is sent if a new subscription starts within the second', async () => {
    const { client, socket } = await connectWebSocket()
    const stop = client.subscribe('news', nothing)
    await socket.confirm('news')
    await stop.ready
    stopTime()
    stop()
    vi.advanceTimersByTime(999)
    const again = client.subscribe('news', nothing)
    expect(again.status).toBe('subscribed')
    vi.advanceTimersByTime(10_000)
    await expectSilence(client, socket)
  })

  it('before the confirmation, and a new one starts, there is one subscribe and no unsubscribe', async () => {
    const { client, socket } = await connectWebSocket()
    client.subscribe('news', nothing)()
    const { ready } = client.subscribe('sport', nothing)
    await socket.confirm('news')
    await socket.confirm('sport')
    await ready
    await expectSilence(client, socket)
    const news = collect()
    await client.subscribe('news', news).ready
    await expectSilence(client, socket)
    socket.send(message('news', 'a'))
    expect(await news.next()).toBe('a')
  })

  it('messages that arrive in that second are not delivered', async () => {
    const { client, socket } = await connectWebSocket()
    const news = collect()
    const all = hear(client, 'message')
    const stop = client.subscribe('news', news)
    const sport = collect()
    client.subscribe('sport', sport)
    await socket.confirm('news')
    await socket.confirm('sport')
    stop()
    socket.send(message('news', 'unheard'), message('sport', '1:0'))
    expect(await sport.next()).toBe('1:0')
    expect(news.pending).toEqual([])
    expect(all.pending).toEqual([['sport', '1:0', expect.anything()]])
  })

  it('a subscription during the unsubscribe request is requested after its answer', async () => {
    const { client, socket } = await connectWebSocket()
    const gaps = hear(client, 'gap')
    const stop = client.subscribe('news', nothing)
    await socket.confirm('news', { position: 'p5' })
    await stop.ready
    stopTime()
    stop()
    vi.advanceTimersByTime(1_000)
    await socket.next('unsubscribe')
    const news = collect()
    const again = client.subscribe('news', news)
    expect(again.status).toBe('subscribing')
    socket.send(message('news', 'too early'), { __type: 'unsubscribeOk', channel: 'news' })
    // It starts without a position.
    expect(await socket.next()).toEqual({ __type: 'subscribe', channel: 'news' })
    socket.send({ __type: 'subscribeOk', channel: 'news', position: 'p9' }, message('news', 'now'))
    expect(await news.next()).toBe('now')
    expect(gaps.pending).toEqual([])
  })

  it('before the confirmation, an unsubscribe follows', async () => {
    const { client, socket } = await connectWebSocket()
    stopTime()
    const subscription = client.subscribe('news', nothing)
    await socket.next('subscribe')
    const { ready } = subscription
    subscription()
    await expect(ready).rejects.toMatchObject({ code: 'aborted' })
    vi.advanceTimersByTime(1_000)
    socket.send({ __type: 'subscribeOk', channel: 'news' })
    expect(await socket.next()).toEqual({ __type: 'unsubscribe', channel: 'news' })
  })

  it('and the connection is lost within the second, the channel is not subscribed again', async () => {
    withoutWaiting()
    const { server, client, socket } = await connectWebSocket()
    const stop = client.subscribe('news', nothing)
    await socket.confirm('news')
    stop()
    socket.cut()
    const next = await server.accept()
    await expectSilence(client, next)
  })
})

describe('unsubscribe()', () => {
  it('ends every subscription of the channel, and resolves when the server has answered', async () => {
    const { client, socket } = await connectWebSocket()
    const [one, two] = [collect(), collect()]
    client.subscribe('news', one)
    client.subscribe('news', two)
    await socket.confirm('news')
    const done = vi.fn()
    const unsubscribed = client.unsubscribe('news').then(done)
    expect(await socket.next()).toEqual({ __type: 'unsubscribe', channel: 'news' })
    socket.send(message('news', 'unheard'))
    expect(done).not.toHaveBeenCalled()
    socket.send({ __type: 'unsubscribeOk', channel: 'news' })
    await unsubscribed
    expect([one.pending, two.pending]).toEqual([[], []])
    client.subscribe('news', one)
    expect(await socket.next()).toEqual({ __type: 'subscribe', channel: 'news' })
  })

  it('resolves at once if no request is needed', async () => {
    const { client } = await connectWebSocket()
    await client.unsubscribe('never subscribed')
    await client.disconnect()
    client.subscribe('news', nothing)
    await client.unsubscribe('news')
  })

  it('resolves when the connection is lost, because the next connection does not have the channel', async () => {
    withoutWaiting()
    const { server, client, socket } = await connectWebSocket()
    client.subscribe('news', nothing)
    await socket.confirm('news')
    const unsubscribed = client.unsubscribe('news')
    await socket.next('unsubscribe')
    socket.cut()
    await unsubscribed
    await expectSilence(client, await server.accept())
  })

  it('rejects when the server does not answer in time, and the client repeats the request', async () => {
    stopTime()
    const { client, socket } = await connectWebSocket({ timeout: 5_000 })
    const { ready } = client.subscribe('news', nothing)
    await socket.confirm('news')
    await ready
    const unsubscribed = client.unsubscribe('news')
    await socket.next('unsubscribe')
    vi.advanceTimersByTime(5_000)
    await expect(unsubscribed).rejects.toMatchObject({ code: 'timeout' })
    vi.advanceTimersByTime(499)
    expect(await socket.next()).toEqual({ __type: 'unsubscribe', channel: 'news' })
  })

  it('treats an error of the server as an answer', async () => {
    const { client, socket } = await connectWebSocket()
    client.subscribe('news', nothing)
    await socket.confirm('news')
    const unsubscribed = client.unsubscribe('news')
    await socket.next('unsubscribe')
    socket.send({ __type: 'unsubscribeError', channel: 'news', reason: 'whatever' })
    await unsubscribed
  })
})

describe('ready', () => {
  it('is a new promise after a reconnection, for the new answer', async () => {
    withoutWaiting()
    const { server, client, socket } = await connectWebSocket()
    const subscription = client.subscribe('news', nothing)
    await socket.confirm('news', { position: 'p1' })
    const first = subscription.ready
    await first
    socket.cut()
    await reaches(client, 'reconnecting')
    await until('the status', () => subscription.status === 'subscribing')
    expect(subscription.ready).not.toBe(first)
    expect(subscription.ready).toBe(subscription.ready)
    const next = await server.accept()
    await next.confirm('news', { position: 'p1', recovered: true, messages: [] })
    await subscription.ready
  })

  it('never causes an unhandled rejection', async () => {
    const unhandled = vi.fn()
    process.on('unhandledRejection', unhandled)
    try {
      const { client, socket } = await connectWebSocket()
      client.subscribe('secret', nothing)
      client.subscribe('secret', nothing)()
      await socket.next('subscribe')
      socket.send({ __type: 'subscribeError', channel: 'secret', reason: 'Channel refused' })
      client.subscribe('news', nothing)
      void client.unsubscribe('news')
      socket.close(4401)
      await reaches(client, 'disconnected')
      void client.connect()
      await client.disconnect()
      // Node reports unhandled rejections after the microtasks, before the next turn.
      await new Promise((resolve) => setImmediate(resolve))
    } finally {
      process.off('unhandledRejection', unhandled)
    }
    expect(unhandled).not.toHaveBeenCalled()
  })
})
