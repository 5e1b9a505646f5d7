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

  it('rejects ready with the reason', async () => {
    const { subscription, onStatus } = await refused()
    expect(subscription.status).toBe('refused')
    expect(subscription.error).toMatchObject({ code: 'refused' })
    expect(onStatus.mock.calls).toEqual([['refused', subscription.error]])
  })

  it('is not requested again on the same connection, also by other subscriptions', async () => {
    const { client, socket } = await refused()
    const another = client.subscribe('secret', nothing)
    expect(another.status).toBe('refused')
    await expect(another.ready).rejects.toMatchObject({ code: 'refused' })
    await expectSilence(client, socket)
  })

  it('is requested again with the next connection', async () => {
    withoutWaiting()
    const { server, socket, subscription, onStatus } = await refused()
    socket.cut()
    const next = await server.accept()
    await next.confirm('secret')
    await subscription.ready
    expect(onStatus.mock.calls.map(([status]) => status)).toEqual(['refused', 'subscribing', 'subscribed'])
  })

  it('is dropped without a request when its last subscription ends, and a new one requests it again', async () => {
    stopTime()
    const { client, socket, subscription } = await refused()
    subscription()
    vi.advanceTimersByTime(1_000)
    client.subscribe('secret', nothing)
    expect(await socket.next()).toEqual({ __type: 'subscribe', channel: 'secret' })
  })

  it('may be one whose subscription the server ends later', async () => {
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
    // Missed messages are replayed if the server accepts the channel again.
    expect(await next.confirm('news')).toMatchObject({ position: 'p1' })
  })
})

describe('a server that can not subscribe temporarily', () => {
  it('gets the request again after a growing pause, and the subscription has the error', async () => {
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
    // It is the same promise through all attempts.
    await ready
    expect(subscription.error).toBeNull()
    expect(onStatus.mock.lastCall).toEqual(['subscribed', null])
  })

  it('gets the request again when it does not answer', async () => {
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

  it('causes no doubled messages when its first answer arrives late', async () => {
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

  it('may answer late, during the pause before the next attempt', async () => {
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

  it('causes an error event if its error names no channel', async () => {
    const { client, socket } = await connectWebSocket()
    const errors = hear(client, 'error')
    socket.send({ __type: 'serverError', reason: 'Broker unavailable' })
    const [error] = await errors.take('an error')
    expect(error).toMatchObject({ code: 'serverError', message: 'Broker unavailable' })
  })
})
