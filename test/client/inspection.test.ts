import { describe, expect, it, vi } from 'vitest'
import { fallBack } from './fallBack.ts'
import {
  collect,
  connectLongPoll,
  connectWebSocket,
  hear,
  makeClient,
  reaches,
  scriptedServer,
} from './scriptedServer.ts'

describe("'attemptFailed'", () => {
  it('says why auto fell back to long-poll', async () => {
    const server = await scriptedServer('refuse')
    const client = makeClient(server.url)
    const failed = hear(client, 'attemptFailed')
    const connected = client.connect()
    await server.acceptSession('one', { __v: 1 })
    await connected
    expect(failed.pending).toMatchObject([[{ transport: 'websocket', error: { code: 'connection' } }]])
    expect(failed.pending[0]![0].error.message).toContain('1006')
  })

  it('comes before the change of the state', async () => {
    const server = await scriptedServer('refuse')
    const client = makeClient(server.url, { mode: 'websocket' })
    const order: string[] = []
    client.on('attemptFailed', () => order.push('failed'))
    client.on('status', ({ to }) => order.push(to))
    void client.connect()
    await reaches(client, 'reconnecting')
    expect(order).toEqual(['connecting', 'failed', 'reconnecting'])
  })

  it('disconnect() in a listener ends the attempts', async () => {
    const server = await scriptedServer('refuse')
    const client = makeClient(server.url)
    client.on('attemptFailed', () => void client.disconnect())
    await expect(client.connect()).rejects.toMatchObject({ code: 'aborted' })
    expect(client.status).toBe('disconnected')
    expect(server.pendingRequests).toEqual([])
  })
})

describe("'wire'", () => {
  it('has each request and each message in order, but no credentials', async () => {
    const { client, socket } = await connectWebSocket()
    const wire = hear(client, 'wire')
    const news = collect()
    client.subscribe('news', news)
    await socket.confirm('news', { position: 'p0', recovered: true, messages: [['old', 'p0']] })
    socket.send({ __type: 'message', channel: 'news', body: 'new', position: 'p1' })
    expect(await news.take(2)).toEqual(['old', 'new'])
    expect(wire.pending.map(([message]) => message)).toEqual([
      { __type: 'subscribe', channel: 'news' },
      { __type: 'subscribeOk', channel: 'news', position: 'p0', recovered: true, messages: [['old', 'p0']] },
      { __type: 'message', channel: 'news', body: 'new', position: 'p1' },
    ])
  })

  it('has pings and pongs', async () => {
    // A pong has to come within this time, too.
    const { client, socket } = await connectWebSocket({ pingInterval: 1000 })
    const wire = hear(client, 'wire')
    await socket.next('ping')
    socket.send({ __type: 'pong' })
    expect(await wire.take('a ping')).toEqual([{ __type: 'ping' }])
    expect(await wire.take('a pong')).toEqual([{ __type: 'pong' }])
  })
})

describe('inspection', () => {
  it('has the URL and the mode, and the channels with their subscriptions', async () => {
    const { client, socket, server } = await connectWebSocket()
    expect(client.inspection.settings).toMatchObject({ url: server.url, mode: 'websocket' })
    const { channels } = client.inspection
    expect(channels.size).toBe(0)
    const first = client.subscribe('news', () => {})
    client.subscribe('news', () => {})
    expect(channels.get('news')!.listeners).toMatchObject({ count: 2, status: 'subscribing', error: null })
    await socket.confirm('news', { position: 'p0' })
    await first.ready
    first()
    expect(channels.get('news')!.listeners).toMatchObject({ count: 1, status: 'subscribed' })
  })

  it('drop() ends the connection as if the network had failed, and the client comes back by itself from its position', async () => {
    const { client, socket, server } = await connectWebSocket()
    const subscription = client.subscribe('news', () => {})
    await socket.confirm('news', { position: 'p0' })
    await subscription.ready
    const changes = hear(client, 'status')
    client.inspection.drop('Dropped by a test')
    expect(await changes.take('a change')).toMatchObject([
      {
        from: 'connected',
        to: 'reconnecting',
        error: { code: 'connection', message: 'Dropped by a test' },
        attempt: 1,
      },
    ])
    expect(await socket.closed()).toBe(1000)
    void client.connect()
    const next = await server.accept({ __v: 1 })
    expect(await next.confirm('news', { position: 'p0', recovered: true })).toMatchObject({ position: 'p0' })
  })

  it('drop() ends an attempt', async () => {
    const server = await scriptedServer('hang')
    const client = makeClient(server.url)
    void client.connect()
    await server.handshake()
    client.inspection.drop('Dropped by a test')
    expect(client.getSnapshot()).toMatchObject({ status: 'reconnecting', attempt: 1 })
    server.upgrades = 'accept'
    void client.connect()
    await server.accept()
    await reaches(client, 'connected')
  })

  it.each(['idle', 'disconnected'])('drop() does nothing while the client is %s', async (status) => {
    const server = await scriptedServer()
    const client = makeClient(server.url)
    if (status === 'disconnected') await client.disconnect()
    const changes = hear(client, 'status')
    client.inspection.drop('Dropped by a test')
    expect(changes.pending).toEqual([])
    expect(client.status).toBe(status)
  })

  it('drop() a second time does nothing while the client waits', async () => {
    const { client } = await connectWebSocket()
    client.inspection.drop('Dropped by a test')
    const snapshot = client.getSnapshot()
    client.inspection.drop('Dropped by a test')
    expect(client.getSnapshot()).toBe(snapshot)
  })

  it('connect() in a listener of the drop is not lost', async () => {
    const { client, server } = await connectWebSocket()
    client.once('status', () => void client.connect())
    client.inspection.drop('Dropped by a test')
    await server.accept()
    await reaches(client, 'connected')
    await client.disconnect()
  })

  it('a mode that a tool writes counts from the next attempt on, in both directions', async () => {
    const { client, server } = await connectWebSocket({ mode: 'auto' })
    client.inspection.settings.mode = 'longpoll'
    client.inspection.drop('Long-poll')
    void client.connect()
    await server.acceptSession('one', { __v: 1 })
    await reaches(client, 'connected')
    expect(client.transport).toBe('longpoll')
    client.inspection.settings.mode = 'auto'
    client.inspection.drop('Auto')
    void client.connect()
    await server.accept({ __v: 1 })
    await reaches(client, 'connected')
    expect(client.transport).toBe('websocket')
  })

  it('auto begins with a WebSocket again after drop()', async () => {
    const { client, server } = await fallBack()
    server.upgrades = 'accept'
    client.inspection.drop('Dropped by a test')
    void client.connect()
    await server.accept({ __v: 1 })
    await reaches(client, 'connected')
    expect(client.transport).toBe('websocket')
  })

  it('tellGap() tells the application, and no message is lost', async () => {
    const { client, server } = await connectLongPoll({}, { __v: 1 })
    const news = collect()
    const gaps = vi.fn()
    const subscription = client.subscribe('news', news, { onGap: gaps })
    await server.confirm('news', { position: 'p0' })
    await subscription.ready
    client.inspection.channels.get('news')!.listeners.tellGap('expired', 'p0')
    expect(gaps.mock.calls).toEqual([[{ channel: 'news', reason: 'expired', position: 'p0' }]])
    const poll = await server.request('poll')
    poll.answer({ __type: 'message', channel: 'news', body: 'next', position: 'p1' })
    expect(await news.next()).toBe('next')
  })
})
