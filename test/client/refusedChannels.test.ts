import { describe, expect, it, vi } from 'vitest'
import { stopTime, withoutWaiting } from './fakeTime.ts'
import { collect, connectWebSocket, hear, until, expectSilence } from './scriptedServer.ts'

const message = (channel: string, body: string) => ({ __type: 'message', channel, body })
const nothing = () => {}

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
