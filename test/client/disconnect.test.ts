import { describe, expect, it, vi } from 'vitest'
import WebSocket from 'ws'
import { stopTime, withoutWaiting } from './fakeTime.ts'
import {
  Arrivals,
  collect,
  connectWebSocket,
  hear,
  makeClient,
  reaches,
  scriptedServer,
} from './scriptedServer.ts'
import { sentence } from './sentence.ts'

describe('disconnect()', () => {
  it('resolves when the connection is closed, and the client does not reconnect', async () => {
    const { server, client, socket } = await connectWebSocket()
    const disconnected = hear(client, 'disconnected')
    await client.disconnect()
    expect(await socket.closed()).toBe(1000)
    expect(client.status).toBe('disconnected')
    expect(client.error).toBeNull()
    expect(disconnected.pending).toEqual([[{ reason: sentence('disconnect() was called'), error: null }]])
    client.subscribe('news', () => {})
    expect(client.status).toBe('disconnected')
    expect(server.pendingHandshakes).toBe(1)
  })

  it('a second call does nothing more', async () => {
    const { client } = await connectWebSocket()
    const disconnected = hear(client, 'disconnected')
    await Promise.all([client.disconnect(), client.disconnect()])
    await client.disconnect()
    expect(disconnected.pending).toHaveLength(1)
  })

  it('does not wait for a server that never closes', async () => {
    const server = await scriptedServer('hang')
    const client = makeClient(server.url, { mode: 'websocket' })
    const connected = client.connect()
    await server.handshake()
    await client.disconnect()
    await expect(connected).rejects.toMatchObject({ code: 'aborted' })
  })

  it('waits only a short time for a dead connection that can not be closed', async () => {
    stopTime()
    class DeadWebSocket extends WebSocket {
      override close() {}
    }
    const { client } = await connectWebSocket({ WebSocket: DeadWebSocket })
    const disconnected = client.disconnect()
    vi.advanceTimersByTime(1_000)
    await disconnected
  })

  it('ends the wait for the next attempt', async () => {
    const server = await scriptedServer('refuse')
    const client = makeClient(server.url, { mode: 'websocket' })
    const connected = client.connect()
    await reaches(client, 'reconnecting')
    await client.disconnect()
    await expect(connected).rejects.toMatchObject({ code: 'aborted' })
    expect(client.getSnapshot()).toMatchObject({
      status: 'disconnected',
      retryAt: null,
      attempt: 0,
      error: null,
    })
  })

  it('ends an attempt that waits for credentials', async () => {
    const server = await scriptedServer()
    const calls = new Arrivals<(auth: {}) => void>()
    const auth = () => new Promise<{}>((resolve) => calls.push(resolve))
    const client = makeClient(server.url, { mode: 'websocket', auth })
    void client.connect()
    const give = await calls.take('a call of auth')
    await client.disconnect()
    give({})
    // The server sees only the next attempt.
    void client.connect()
    const giveAgain = await calls.take('a call of auth')
    giveAgain({})
    expect((await server.accept()).auth).toMatchObject({ __generation: 1 })
    expect(server.pendingHandshakes).toBe(1)
  })

  it('keeps subscriptions for the next connect(), which asks for new credentials', async () => {
    let user = 'ada'
    const { server, client, socket } = await connectWebSocket({ auth: () => ({ user }) })
    const news = collect()
    const subscription = client.subscribe('news', news)
    await socket.confirm('news', { position: 'p1' })
    await subscription.ready
    await client.disconnect()
    expect(subscription.status).toBe('subscribing')
    user = 'grace'
    void client.connect()
    const next = await server.accept()
    expect(next.auth).toMatchObject({ user: 'grace' })
    expect(await next.confirm('news', { position: 'p1', recovered: true, messages: [] })).toMatchObject({
      position: 'p1',
    })
    await subscription.ready
  })

  it('may be called by an error listener', async () => {
    const client = makeClient('ws://127.0.0.1:1', { auth: () => Promise.reject(new Error('signed out')) })
    client.on('error', () => void client.disconnect())
    await expect(client.connect()).rejects.toMatchObject({ code: 'aborted' })
    expect(client.getSnapshot()).toMatchObject({ status: 'disconnected', retryAt: null })
  })

  it('may be called by a status listener, and connect() by a disconnected listener', async () => {
    withoutWaiting()
    const { server, client, socket } = await connectWebSocket()
    const subscription = client.subscribe('news', () => {})
    await socket.confirm('news')
    const off = client.on('status', ({ to }) => {
      if (to === 'reconnecting') void client.disconnect()
    })
    client.once('disconnected', () => void client.connect())
    socket.cut()
    const next = await server.accept()
    off()
    await next.confirm('news')
    await subscription.ready
    expect(client.status).toBe('connected')
  })
})
