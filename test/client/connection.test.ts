import { BroadcasterError } from '@broadcaster/client'
import type { StatusChange } from '@broadcaster/client'
import { closeCodes, shouldRetry } from '@broadcaster/protocol'
import { describe, expect, it, vi } from 'vitest'
import { tcpProxy } from '../support/tcpProxy.ts'
import { withoutWaiting } from './fakeTime.ts'
import { collect, connectWebSocket, hear, makeClient, reaches, scriptedServer } from './scriptedServer.ts'
import { sentence } from './sentence.ts'

describe('connecting', () => {
  it('happens at the first subscription, and the credentials are sent first', async () => {
    const server = await scriptedServer()
    const client = makeClient(server.url, { mode: 'websocket', auth: { token: 'x' } })
    expect(client.status).toBe('idle')
    client.subscribe('news', () => {})
    expect(client.status).toBe('connecting')
    const socket = await server.socket()
    expect(await socket.next()).toMatchObject({ __type: 'auth', token: 'x' })
    expect(socket.pending).toEqual([])
    socket.send({ __type: 'authOk', __v: 1 })
    expect(await socket.next()).toEqual({ __type: 'subscribe', channel: 'news' })
    expect(client.status).toBe('connected')
  })

  it('sends the name of the client and the generation of the connection', async () => {
    withoutWaiting()
    const { server, client, socket } = await connectWebSocket()
    expect(socket.auth).toMatchObject({
      __v: 2,
      __client: expect.stringMatching(/^\d+(-\d+){3}$/),
      __generation: 1,
    })
    socket.cut()
    const next = await server.accept()
    expect(next.auth).toEqual({ ...socket.auth, __generation: 2 })
    void client.disconnect()
    void client.connect()
    expect((await server.accept()).auth).toEqual({ ...socket.auth, __generation: 3 })
  })

  it('A5: sends the name of the node that it was on, unless another attempt came after it', async () => {
    withoutWaiting()
    const server = await scriptedServer()
    const client = makeClient(server.url, { mode: 'websocket' })
    void client.connect()
    const first = await server.accept({ __v: 2, __node: 'node a' })
    expect(first.auth).not.toHaveProperty('__node')
    first.cut()
    const second = await server.accept({ __v: 2, __node: 'node b' })
    expect(second.auth).toMatchObject({ __node: 'node a' })
    second.cut()
    const unanswered = await server.socket()
    expect(await unanswered.next('auth')).toMatchObject({ __node: 'node b' })
    unanswered.cut()
    const last = await server.accept({ __v: 1 })
    expect(last.auth).not.toHaveProperty('__node')
    last.cut()
    // A node that speaks version 1 does not say its name.
    expect((await server.accept()).auth).not.toHaveProperty('__node')
  })

  it('makes one connection for several calls of connect()', async () => {
    const server = await scriptedServer()
    const client = makeClient(server.url, { mode: 'websocket' })
    const connected = [client.connect(), client.connect()]
    client.subscribe('news', () => {})
    await server.accept()
    await Promise.all(connected)
    await client.connect()
    expect(server.pendingHandshakes).toBe(1)
  })

  it('does not send reserved keys of the application', async () => {
    const { socket } = await connectWebSocket({ auth: { token: 'x', __token: 'mine', __type: 'poll' } })
    expect(socket.auth).toMatchObject({ __type: 'auth', token: 'x' })
    expect(socket.auth).not.toHaveProperty('__token')
  })

  it('calls the auth function for every connection', async () => {
    withoutWaiting()
    let count = 0
    const { server, socket } = await connectWebSocket({ auth: async () => ({ token: `token ${++count}` }) })
    expect(socket.auth).toMatchObject({ token: 'token 1' })
    socket.cut()
    expect((await server.accept()).auth).toMatchObject({ token: 'token 2' })
  })

  it.each([
    ['throws', () => Promise.reject(new Error('no session'))],
    ['returns a string', () => 'token' as never],
  ])('tries again when the auth function %s, and emits an error event', async (_what, fail) => {
    withoutWaiting()
    const server = await scriptedServer()
    const auth = vi.fn().mockImplementationOnce(fail).mockReturnValue({ token: 'x' })
    const client = makeClient(server.url, { mode: 'websocket', auth })
    const errors = hear(client, 'error')
    const connected = client.connect()
    const [error] = await errors.take('an error')
    expect(error).toMatchObject({
      code: 'authFunction',
      message: sentence(expect.stringContaining('The auth function failed')),
    })
    expect(client.status).toBe('reconnecting')
    expect(client.error).toBe(error)
    expect((await server.accept()).auth).toMatchObject({ token: 'x' })
    await connected
    expect(client.error).toBeNull()
  })

  it('V3: ignores unknown types, unknown fields, and frames that are not objects', async () => {
    const server = await scriptedServer()
    const client = makeClient(server.url, { mode: 'websocket' })
    const news = collect()
    const statuses: unknown[] = []
    const onStatus = (...change: unknown[]) => void statuses.push(change)
    client.subscribe('news', news, { onStatus })
    const socket = await server.socket()
    await socket.next('auth')
    socket.send({ __type: 'welcome' }, { __type: 'authOk', __v: 1, load: 0.3 })
    const unknown = [{ __type: 'news' }, { __type: 'advert', channel: 'news' }, { __type: 'unknown' }]
    socket.send(...unknown)
    await socket.confirm('news', { position: 'p', flavour: 'mint' })
    socket.sendText('null')
    socket.sendText('7')
    socket.send(...unknown)
    socket.send({ __type: 'message', channel: 'nobody asked', body: 'x' })
    socket.send({ __type: 'message', channel: 'news', body: 'hello', position: 'q' })
    expect(await news.next()).toBe('hello')
    expect(statuses).toEqual([['subscribed', null]])
  })

  it('treats a frame that is not JSON as a broken connection', async () => {
    withoutWaiting()
    const { server, client, socket } = await connectWebSocket()
    socket.sendText('<html>')
    await reaches(client, 'reconnecting')
    await server.accept()
    await reaches(client, 'connected')
  })
})

describe('the status', () => {
  it('emits one event with the reason for each change', async () => {
    withoutWaiting()
    const server = await scriptedServer()
    const client = makeClient(server.url, { mode: 'websocket' })
    const changes: StatusChange[] = []
    client.on('status', (change) => changes.push(change))
    const connected = client.connect()
    const socket = await server.accept()
    await connected
    socket.close(1011, 'out of memory')
    await server.accept()
    await reaches(client, 'connected')
    await client.disconnect()
    expect(changes).toEqual([
      { from: 'idle', to: 'connecting', reason: sentence('connect() was called'), transport: null },
      {
        from: 'connecting',
        to: 'connected',
        reason: sentence('Authenticated by websocket'),
        transport: 'websocket',
      },
      {
        from: 'connected',
        to: 'reconnecting',
        reason: 'out of memory (1011)',
        transport: null,
        error: expect.objectContaining({ code: 'connection' }),
        attempt: 1,
        retryInMs: 0,
      },
      {
        from: 'reconnecting',
        to: 'reconnecting',
        reason: sentence('Trying again'),
        transport: null,
        error: expect.any(BroadcasterError),
        attempt: 1,
      },
      {
        from: 'reconnecting',
        to: 'connected',
        reason: sentence('Authenticated by websocket'),
        transport: 'websocket',
      },
      { from: 'connected', to: 'disconnected', reason: sentence('disconnect() was called'), transport: null },
    ])
  })

  it('has the error of a failed attempt, which is no error event', async () => {
    const { port, close } = await tcpProxy(1)
    await close()
    const client = makeClient(`http://127.0.0.1:${port}`, { mode: 'websocket', maxAttempts: 0 })
    const errors: BroadcasterError[] = []
    client.on('error', (error) => errors.push(error))
    await expect(client.connect()).rejects.toMatchObject({ code: 'maxAttempts' })
    expect(client.error).toMatchObject({ code: 'maxAttempts' })
    expect(errors).toEqual([])
  })

  it('is in a snapshot, which is the same object until something changes', async () => {
    const { client, socket } = await connectWebSocket()
    const { getSnapshot } = client
    const connected = getSnapshot()
    expect(connected).toEqual({
      status: 'connected',
      transport: 'websocket',
      error: null,
      attempt: 0,
      retryAt: null,
    })
    client.subscribe('news', () => {})
    await socket.confirm('news')
    expect(getSnapshot()).toBe(connected)
    let atEvent
    client.on('status', () => (atEvent = getSnapshot()))
    socket.cut()
    await reaches(client, 'reconnecting')
    expect(getSnapshot()).not.toBe(connected)
    expect(atEvent).toBe(getSnapshot())
    expect(getSnapshot()).toMatchObject({ transport: null, attempt: 1, retryAt: expect.any(Number) })
    expect(client.error).toBe(getSnapshot().error)
    expect(client.transport).toBeNull()
  })
})

describe('a refusal of the credentials', () => {
  it('is final', async () => {
    const server = await scriptedServer()
    const client = makeClient(server.url, { mode: 'websocket', auth: { token: 'bad' } })
    const disconnected = hear(client, 'disconnected')
    const connected = client.connect()
    const socket = await server.socket()
    await socket.next('auth')
    socket.send({ __type: 'authError', reason: 'Unauthorized' })
    socket.close(4401, 'Unauthorized')
    await expect(connected).rejects.toMatchObject({ code: 'unauthorized', message: 'Unauthorized' })
    expect(client.status).toBe('disconnected')
    expect(client.error).toMatchObject({ code: 'unauthorized' })
    expect(disconnected.pending).toEqual([[{ reason: 'Unauthorized', error: client.error }]])
  })

  it('is final too when there is only a close code', async () => {
    const { client, socket } = await connectWebSocket()
    socket.close(4401, 'Unauthorized')
    await reaches(client, 'disconnected')
    expect(client.error).toMatchObject({ code: 'unauthorized' })
  })

  it('may make a status listener call connect(), and subscriptions wait for that', async () => {
    const { server, client, socket } = await connectWebSocket()
    const subscription = client.subscribe('news', () => {})
    await socket.confirm('news')
    await subscription.ready
    const off = client.on('status', ({ to }) => {
      if (to === 'disconnected') void client.connect()
    })
    socket.close(4401)
    const next = await server.socket()
    off()
    expect(subscription.status).toBe('subscribing')
    const late = client.subscribe('sport', () => {})
    expect(late.status).toBe('subscribing')
    await next.next('auth')
    next.send({ __type: 'authOk', __v: 1 })
    await next.confirm('news')
    await next.confirm('sport')
    await Promise.all([subscription.ready, late.ready])
  })

  it('ends with the next connect(), with fresh credentials and all subscriptions', async () => {
    const server = await scriptedServer()
    let token = 'expired'
    const client = makeClient(server.url, { mode: 'websocket', auth: () => ({ token }) })
    const subscription = client.subscribe('news', () => {})
    const ready = subscription.ready
    const refused = await server.socket()
    await refused.next('auth')
    refused.send({ __type: 'authError', reason: 'Unauthorized' })
    await expect(ready).rejects.toMatchObject({ code: 'unauthorized' })
    expect(subscription.status).toBe('error')
    const late = client.subscribe('sport', () => {})
    expect(late.status).toBe('error')
    await expect(late.ready).rejects.toMatchObject({ code: 'unauthorized' })

    token = 'fresh'
    const connected = client.connect()
    expect(subscription.status).toBe('subscribing')
    const socket = await server.accept()
    expect(socket.auth).toMatchObject({ token: 'fresh' })
    await connected
    await socket.confirm('news')
    await socket.confirm('sport')
    await subscription.ready
    await late.ready
  })
})

describe('C1 close codes', () => {
  it.each(Object.entries(closeCodes))(
    '%s is retried or final according to the table',
    async (name, { code, retry }) => {
      withoutWaiting()
      expect(shouldRetry(code)).toBe(retry)
      const { server, client, socket } = await connectWebSocket()
      socket.close(code, 'because')
      if (retry) {
        await server.accept()
        await reaches(client, 'connected')
      } else {
        await reaches(client, 'disconnected')
        expect(client.error).toMatchObject({ code: name, message: `because (${code})` })
      }
    },
  )

  it.each([1000, 1005, 1006, 4000])('%d, which is not in the table, is retried', async (code) => {
    withoutWaiting()
    const { server, client, socket } = await connectWebSocket()
    if (code === 1006) socket.cut()
    else if (code === 1005) socket.close(undefined as never)
    else socket.close(code)
    await server.accept()
    await reaches(client, 'connected')
  })
})
