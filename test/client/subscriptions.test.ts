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
} from './scriptedServer.ts'
import type { ScriptedSocket } from './scriptedServer.ts'

const message = (channel: string, body: string) => ({ __type: 'message', channel, body })
const nothing = () => {}

let markers = 0

/** Shows that nothing was sent about anything else: the marker's subscribe comes next. */
async function expectSilence(
  client: { subscribe(name: string, handler: () => void): unknown },
  socket: ScriptedSocket,
) {
  const marker = `marker ${markers++}`
  client.subscribe(marker, nothing)
  expect(await socket.next()).toEqual({ __type: 'subscribe', channel: marker })
  socket.send({ __type: 'subscribeOk', channel: marker })
}

describe('subscribing', () => {
  it('is confirmed by the server, and then every message arrives', async () => {
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

  it('happens once on the wire, however many listen, and all hear every message', async () => {
    const { client, socket } = await connectWebSocket()
    const [one, two, three] = [collect(), collect(), collect()]
    client.subscribe('news', one)
    client.subscribe('news', two)
    await socket.confirm('news')
    socket.send(message('news', 'a'))
    expect(await two.next()).toBe('a')
    // Ready at once: there is nothing to ask the server for.
    const late = client.subscribe('news', three)
    expect(late.status).toBe('subscribed')
    await late.ready
    await expectSilence(client, socket)
    socket.send(message('news', 'b'))
    expect(await three.next()).toBe('b')
    expect(await one.take(2)).toEqual(['a', 'b'])
    expect(await two.next()).toBe('b')
  })

  it('works for any name', async () => {
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

  it('ends with the function that it returned, at once for the handler, and twice is harmless', async () => {
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

  it('in the middle of a message: a handler may end itself and others, and add some', async () => {
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

  it('before there is a connection waits for one', async () => {
    const server = await scriptedServer()
    const client = makeClient(server.url, { mode: 'websocket' })
    const { ready } = client.subscribe('news', nothing)
    const stop = client.subscribe('sport', nothing)
    stop()
    const socket = await server.accept()
    await socket.confirm('news')
    await ready
    // Nobody listens to sport any more.
    await expectSilence(client, socket)
  })
})

describe('the last listener', () => {
  it('leaves the channel subscribed for a second, then it is unsubscribed', async () => {
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

  it('costs nothing on the wire when another comes within the second', async () => {
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

  it('may leave before the server has confirmed, and another come: one subscribe, no unsubscribe', async () => {
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

  it('takes its messages away at once: nobody hears what comes in that second', async () => {
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

  it('who subscribes while the server is unsubscribing gets a new subscription afterwards', async () => {
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
    // It begins anew, from no position.
    expect(await socket.next()).toEqual({ __type: 'subscribe', channel: 'news' })
    socket.send({ __type: 'subscribeOk', channel: 'news', position: 'p9' }, message('news', 'now'))
    expect(await news.next()).toBe('now')
    expect(gaps.pending).toEqual([])
  })

  it('before the server has confirmed is followed by an unsubscribe', async () => {
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

  it('whose second has not passed when the connection drops does not come back', async () => {
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

  it('resolves at once where there is nothing to ask the server for', async () => {
    const { client } = await connectWebSocket()
    await client.unsubscribe('never subscribed')
    await client.disconnect()
    client.subscribe('news', nothing)
    await client.unsubscribe('news')
  })

  it('resolves when the connection is lost: the next one knows nothing of the channel', async () => {
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

  it('rejects when the server does not answer in time, and asks again', async () => {
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

  it('takes an error of the server for an answer', async () => {
    const { client, socket } = await connectWebSocket()
    client.subscribe('news', nothing)
    await socket.confirm('news')
    const unsubscribed = client.unsubscribe('news')
    await socket.next('unsubscribe')
    socket.send({ __type: 'unsubscribeError', channel: 'news', reason: 'whatever' })
    await unsubscribed
  })
})

describe('a refused channel', () => {
  async function refused() {
    const connection = await connectWebSocket()
    const onStatus = vi.fn()
    const subscription = connection.client.subscribe('secret', nothing, { onStatus })
    const { ready } = subscription
    await connection.socket.next('subscribe')
    connection.socket.send({ __type: 'subscribeError', channel: 'secret', reason: 'Channel refused' })
    await expect(ready).rejects.toMatchObject({
      code: 'refused',
      message: "Channel 'secret': Channel refused",
    })
    return { ...connection, subscription, onStatus }
  }

  it('rejects ready and says why', async () => {
    const { subscription, onStatus } = await refused()
    expect(subscription.status).toBe('refused')
    expect(subscription.error).toMatchObject({ code: 'refused' })
    expect(onStatus.mock.calls).toEqual([['refused', subscription.error]])
  })

  it('is not asked for again on the same connection, by nobody', async () => {
    const { client, socket } = await refused()
    const another = client.subscribe('secret', nothing)
    expect(another.status).toBe('refused')
    await expect(another.ready).rejects.toMatchObject({ code: 'refused' })
    await expectSilence(client, socket)
  })

  it('is asked for again with the next connection', async () => {
    withoutWaiting()
    const { server, socket, subscription, onStatus } = await refused()
    socket.cut()
    const next = await server.accept()
    await next.confirm('secret')
    await subscription.ready
    expect(onStatus.mock.calls.map(([status]) => status)).toEqual(['refused', 'subscribing', 'subscribed'])
  })

  it('that everybody has left is forgotten without a word, and asked for anew', async () => {
    stopTime()
    const { client, socket, subscription } = await refused()
    subscription()
    vi.advanceTimersByTime(1_000)
    client.subscribe('secret', nothing)
    expect(await socket.next()).toEqual({ __type: 'subscribe', channel: 'secret' })
  })

  it('may be one that the server takes away later', async () => {
    withoutWaiting()
    const { server, client, socket } = await connectWebSocket()
    const subscription = client.subscribe('news', nothing)
    await socket.confirm('news', { position: 'p1' })
    await subscription.ready
    const status = new Promise((resolve) => client.subscribe('news', nothing, { onStatus: resolve }))
    socket.send({ __type: 'unsubscribed', channel: 'news', reason: 'Unsubscribed by the server' })
    expect(await status).toBe('refused')
    expect(subscription.error).toMatchObject({
      code: 'unsubscribed',
      message: "Channel 'news': Unsubscribed by the server",
    })
    await expectSilence(client, socket)
    socket.cut()
    const next = await server.accept()
    // What was missed meanwhile is replayed, if the server lets the client have it again.
    expect(await next.confirm('news')).toMatchObject({ position: 'p1' })
  })
})

describe('a server that can’t subscribe just now', () => {
  it('is asked again after a growing while, and the subscription tells why it waits', async () => {
    const { client, socket } = await connectWebSocket()
    stopTime()
    const onStatus = vi.fn()
    const subscription = client.subscribe('news', nothing, { onStatus })
    const { ready } = subscription
    for (const [round, waitMs] of [499, 999, 1999].entries()) {
      await socket.next('subscribe')
      const told = until('the error', () => onStatus.mock.calls.length > round)
      socket.send({ __type: 'serverError', channel: 'news', reason: 'Broker unavailable' })
      await told
      expect(subscription.status).toBe('subscribing')
      expect(subscription.error).toMatchObject({ code: 'serverError', message: 'Broker unavailable' })
      await expectSilence(client, socket)
      vi.advanceTimersByTime(waitMs)
    }
    await socket.confirm('news')
    // The one promise, through all the tries.
    await ready
    expect(subscription.error).toBeNull()
    expect(onStatus.mock.lastCall).toEqual(['subscribed', null])
  })

  it('is asked again when it does not answer at all', async () => {
    stopTime()
    const { client, socket } = await connectWebSocket({ timeout: 5_000 })
    const subscription = client.subscribe('news', nothing)
    await socket.next('subscribe')
    vi.advanceTimersByTime(5_000)
    expect(subscription.error).toMatchObject({ code: 'timeout' })
    vi.advanceTimersByTime(499)
    await socket.confirm('news')
    await subscription.ready
  })

  it('does not double messages when the first answer comes after all', async () => {
    stopTime()
    const { client, socket } = await connectWebSocket({ timeout: 5_000 })
    const news = collect()
    client.subscribe('news', news)
    await socket.next('subscribe')
    vi.advanceTimersByTime(5_499)
    await socket.next('subscribe')
    socket.send({ __type: 'subscribeOk', channel: 'news', position: 'p0' }, message('news', 'a'))
    socket.send({ __type: 'subscribeOk', channel: 'news', position: 'p0' }, message('news', 'b'))
    expect(await news.take(2)).toEqual(['a', 'b'])
  })

  it('and answers late, while the next try is waited for, is heard', async () => {
    stopTime()
    const { client, socket } = await connectWebSocket({ timeout: 5_000 })
    const news = collect()
    client.subscribe('news', news)
    await socket.next('subscribe')
    vi.advanceTimersByTime(5_000)
    socket.send(message('news', 'a'), { __type: 'subscribeOk', channel: 'news' }, message('news', 'b'))
    expect(await news.take(2)).toEqual(['a', 'b'])
    vi.advanceTimersByTime(10_000)
    await expectSilence(client, socket)
  })

  it('and names no channel: the error event tells', async () => {
    const { client, socket } = await connectWebSocket()
    const errors = hear(client, 'error')
    socket.send({ __type: 'serverError', reason: 'Broker unavailable' })
    const [error] = await errors.take('an error')
    expect(error).toMatchObject({ code: 'serverError', message: 'Broker unavailable' })
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
      // Node tells of unhandled rejections after the microtasks, before the next turn.
      await new Promise((resolve) => setImmediate(resolve))
    } finally {
      process.off('unhandledRejection', unhandled)
    }
    expect(unhandled).not.toHaveBeenCalled()
  })
})
