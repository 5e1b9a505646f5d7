import { describe, expect, it, vi } from 'vitest'
import WebSocket from 'ws'
import { fallBack } from './fallBack.ts'
import { fakePage, stopTime, withoutWaiting } from './fakeTime.ts'
import { message } from './pollingClient.ts'
import { Arrivals, collect, hear, makeClient, reaches, scriptedServer } from './scriptedServer.ts'
import type { ScriptedServer } from './scriptedServer.ts'
import { sentence } from './sentence.ts'

/** The same client with a subscription to news at position p1. Its next poll, which sends p1, waits at the server. */
async function fallBackWithNews(authOk: object = { __v: 1 }) {
  const { server, client } = await fallBack({}, authOk)
  const hasPositions = '__v' in authOk
  const news = collect()
  const subscription = client.subscribe('news', news)
  await server.confirm('news', hasPositions ? { position: 'p0' } : {})
  await subscription.ready
  ;(await server.request('poll')).answer(message('a', hasPositions ? 'p1' : undefined))
  expect(await news.next()).toBe('a')
  const poll = await server.request('poll')
  return { server, client, news, subscription, poll }
}

describe('while auto uses long-poll, it probes WebSocket', () => {
  it('after 30 seconds, then after twice the time for each probe, up to five minutes', async () => {
    stopTime()
    const closes = new Arrivals<'close'>()
    class WatchedWebSocket extends WebSocket {
      constructor(url: string) {
        super(url)
        this.on('close', () => closes.push('close'))
      }
    }
    const { server, client } = await fallBack({ WebSocket: WatchedWebSocket })
    await closes.take('a close')
    for (const waitMs of [30_000, 60_000, 120_000, 240_000, 300_000, 300_000]) {
      await keepPolling(server, waitMs - 1)
      expect(server.pendingHandshakes).toBe(0)
      vi.advanceTimersByTime(1)
      await server.handshake()
      await closes.take('a close')
    }
    expect(client.getSnapshot()).toMatchObject({ status: 'connected', transport: 'longpoll' })
  })

  it('when the network is back', async () => {
    const page = fakePage()
    const { server, client } = await fallBack()
    server.upgrades = 'accept'
    page.goOnline()
    await server.accept()
    await movesTo(client, 'websocket')
  })

  it('but not in mode longpoll', async () => {
    const page = fakePage()
    stopTime()
    const server = await scriptedServer()
    const client = makeClient(server.url, { mode: 'longpoll' })
    const connected = client.connect()
    await server.acceptSession('one')
    await connected
    page.goOnline()
    await keepPolling(server, 600_000)
    expect(server.pendingHandshakes).toBe(0)
  })

  it('and moves to it when it is authenticated: no message is lost, doubled or out of order', async () => {
    const page = fakePage()
    const { server, client, news, subscription, poll } = await fallBackWithNews()
    const changes = hear(client, 'status')
    const gaps = hear(client, 'gap')
    server.upgrades = 'accept'
    page.goOnline()
    // A poll that may be dead is sent again when the network is back.
    await poll.gone()
    const again = await server.request('poll')
    const socket = await server.accept()
    expect(socket.auth).toMatchObject({ __previous: 'one', __generation: 3 })
    // The answer of that poll is lost. The WebSocket gets the same messages.
    await again.gone()
    const request = await socket.next('subscribe')
    expect(request).toMatchObject({ channel: 'news', position: 'p1' })
    expect(subscription.status).toBe('subscribed')
    socket.send({
      __type: 'subscribeOk',
      channel: 'news',
      position: 'p2',
      recovered: true,
      messages: [['b', 'p2']],
    })
    socket.send(message('c', 'p3'))
    expect(await news.take(2)).toEqual(['b', 'c'])
    expect(gaps.pending).toEqual([])
    expect(changes.pending).toEqual([
      [
        {
          from: 'connected',
          to: 'connected',
          reason: sentence('Moved to websocket'),
          transport: 'websocket',
        },
      ],
    ])
    expect(server.pendingRequests.filter(({ __type }) => __type === 'auth')).toEqual([])
  })

  it('and when that WebSocket is lost, reconnects as if long-poll had never been used', async () => {
    const page = fakePage()
    stopTime()
    const { server, client } = await fallBackWithNews()
    server.upgrades = 'accept'
    page.goOnline()
    const socket = await server.accept()
    await movesTo(client, 'websocket')
    const lost = reaches(client, 'reconnecting')
    socket.close(1011)
    expect(await lost).toMatchObject({ attempt: 1, retryInMs: 499 })
    vi.advanceTimersByTime(499)
    await server.accept()
    await reaches(client, 'connected')
  })

  it('and delivers messages of polls until the WebSocket is authenticated', async () => {
    const page = fakePage()
    const { server, news, poll } = await fallBackWithNews()
    server.upgrades = 'accept'
    page.goOnline()
    const socket = await server.socket()
    await socket.next('auth')
    await poll.gone()
    ;(await server.request('poll')).answer(message('b', 'p2'))
    expect(await news.next()).toBe('b')
    socket.send({ __type: 'authOk', __v: 1 })
    expect(await socket.next('subscribe')).toMatchObject({ position: 'p2' })
  })

  it('and closes it when no answer arrives', async () => {
    stopTime()
    const { server, client } = await fallBack({ timeout: 10_000 })
    server.upgrades = 'accept'
    vi.advanceTimersByTime(30_000)
    const socket = await server.socket()
    await socket.next('auth')
    // Nothing waits for the probe, so it has the whole timeout.
    vi.advanceTimersByTime(9_999)
    expect(client.transport).toBe('longpoll')
    vi.advanceTimersByTime(1)
    await socket.closed()
    expect(client.getSnapshot()).toMatchObject({ status: 'connected', transport: 'longpoll' })
  })

  it('and a refusal of the probe does not end the session, and is not followed by another probe', async () => {
    const page = fakePage()
    stopTime()
    const { server, client, news } = await fallBackWithNews()
    server.upgrades = 'accept'
    page.goOnline()
    const socket = await server.socket()
    await socket.next('auth')
    socket.send({ __type: 'authError', reason: 'Unauthorized' })
    await socket.closed()
    ;(await server.request('poll')).answer(message('b', 'p2'))
    expect(await news.next()).toBe('b')
    expect(client.status).toBe('connected')
    await server.handshake()
    await keepPolling(server, 600_000)
    expect(server.pendingHandshakes).toBe(0)
  })

  it('and moves to it also when the server ends the session before it answers the probe', async () => {
    const page = fakePage()
    withoutWaiting()
    const { server, client, news } = await fallBackWithNews()
    server.upgrades = 'accept'
    page.goOnline()
    const socket = await server.socket()
    await socket.next('auth')
    const lost = reaches(client, 'reconnecting')
    ;(await server.request('poll')).refuse(401, { __type: 'authError', reason: 'Auth expected' })
    await lost
    socket.send({ __type: 'authOk', __v: 1 })
    await socket.confirm('news', { position: 'p2', recovered: true, messages: [['b', 'p2']] })
    expect(await news.next()).toBe('b')
    expect(client.getSnapshot()).toMatchObject({ status: 'connected', transport: 'websocket' })
    expect(server.pendingRequests).toEqual([])
  })

  it('and closes it for a new long-poll session when the session ends and the probe has no answer', async () => {
    const page = fakePage()
    const { server, client } = await fallBackWithNews()
    stopTime(0)
    server.upgrades = 'accept'
    page.goOnline()
    const socket = await server.socket()
    await socket.next('auth')
    const lost = reaches(client, 'reconnecting')
    ;(await server.request('poll')).refuse(401, { __type: 'authError', reason: 'Auth expected' })
    await lost
    vi.advanceTimersByTime(1_000)
    await server.acceptSession('two')
    await socket.closed()
  })

  it('and reports a gap if the server does not have the additions', async () => {
    const page = fakePage()
    const { server, client } = await fallBackWithNews({})
    const gaps = hear(client, 'gap')
    server.upgrades = 'accept'
    page.goOnline()
    const socket = await server.accept({})
    expect(await socket.confirm('news')).toEqual({ __type: 'subscribe', channel: 'news' })
    expect(await gaps.take('a gap')).toEqual([{ channel: 'news', reason: 'node' }])
  })

  it('and disconnect() ends the probe too', async () => {
    const page = fakePage()
    const { server, client } = await fallBack()
    server.upgrades = 'accept'
    page.goOnline()
    const socket = await server.socket()
    await client.disconnect()
    await socket.closed()
    expect(client.status).toBe('disconnected')
  })
})

/** Resolves when the client uses that transport. */
async function movesTo(client: ReturnType<typeof makeClient>, transport: string): Promise<void> {
  if (client.transport !== transport)
    await new Promise<void>((resolve) => client.once('status', () => resolve()))
  expect(client.transport).toBe(transport)
}

/** Lets time pass. Every poll is answered before its time limit. */
async function keepPolling(server: ScriptedServer, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 25_000) {
    const poll = await server.request('poll')
    vi.advanceTimersByTime(Math.min(left, 25_000))
    poll.answer()
  }
}
