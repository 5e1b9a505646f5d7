import { describe, expect, it, vi } from 'vitest'
import { fallBack } from './fallBack.ts'
import { stopTime, withoutWaiting } from './fakeTime.ts'
import { hear, makeClient, reaches, scriptedServer } from './scriptedServer.ts'

describe('auto', () => {
  it('uses WebSocket if that works', async () => {
    const server = await scriptedServer()
    const client = makeClient(server.url)
    const connected = client.connect()
    await server.accept()
    await connected
    expect(client.transport).toBe('websocket')
    expect(server.pendingRequests).toEqual([])
  })

  it('falls back to long-poll at once when the WebSocket fails', async () => {
    const { client } = await fallBack()
    expect(client.getSnapshot()).toMatchObject({
      status: 'connected',
      transport: 'longpoll',
      attempt: 0,
      error: null,
    })
  })

  it('falls back when the WebSocket does not open for four seconds', async () => {
    const server = await scriptedServer('hang')
    stopTime()
    const client = makeClient(server.url)
    const connected = client.connect()
    await server.handshake()
    vi.advanceTimersByTime(3_999)
    expect(client.status).toBe('connecting')
    vi.advanceTimersByTime(1)
    await server.acceptSession('one')
    await connected
    expect(client.transport).toBe('longpoll')
  })

  it('falls back when the WebSocket opens and no frame arrives', async () => {
    const server = await scriptedServer()
    stopTime()
    const client = makeClient(server.url)
    const connected = client.connect()
    const socket = await server.socket()
    await socket.next('auth')
    vi.advanceTimersByTime(4_000)
    await server.acceptSession('one')
    await connected
    await socket.closed()
    expect(client.transport).toBe('longpoll')
  })

  it('falls back when the WebSocket is closed before any frame arrives', async () => {
    const server = await scriptedServer()
    const client = makeClient(server.url)
    const connected = client.connect()
    ;(await server.socket()).cut()
    await server.acceptSession('one')
    await connected
  })

  it.each([
    ['its close code', 'refuse', 1006],
    ['timeout, if it does not open', 'hang', 'timeout'],
    ['silence, if no frame arrives', undefined, 'silence'],
  ] as const)('A9: tells the server why the WebSocket failed: %s', async (_, behaviour, why) => {
    const server = await scriptedServer(behaviour)
    if (behaviour !== 'refuse') stopTime()
    const client = makeClient(server.url)
    const connected = client.connect()
    if (behaviour === undefined) await (await server.socket()).next('auth')
    else await server.handshake()
    if (behaviour !== 'refuse') vi.advanceTimersByTime(4_000)
    expect(await server.acceptSession('one')).toMatchObject({ __fallback: why })
    await connected
  })

  it('A9: says it once, and not when long-poll was chosen for another reason', async () => {
    withoutWaiting()
    const { server, client } = await fallBack()
    ;(await server.request('poll')).refuse(401, { __type: 'authError', reason: 'Auth expected' })
    expect(await server.acceptSession('two')).not.toHaveProperty('__fallback')
    await reaches(client, 'connected')
    const other = await scriptedServer()
    void makeClient(other.url, { mode: 'longpoll' }).connect()
    expect(await other.acceptSession('three')).not.toHaveProperty('__fallback')
  })

  it('A9: says error if the WebSocket cannot be made', async () => {
    const server = await scriptedServer()
    class Broken {
      constructor() {
        throw new Error('blocked by a policy')
      }
    }
    const client = makeClient(server.url, { WebSocket: Broken as never })
    const connected = client.connect()
    expect(await server.acceptSession('one')).toMatchObject({ __fallback: 'error' })
    await connected
  })

  it('asks for new credentials for each transport, because they may be valid only once', async () => {
    const server = await scriptedServer()
    let ticket = 0
    const client = makeClient(server.url, { auth: () => ({ ticket: ++ticket }) })
    void client.connect()
    const socket = await server.socket()
    expect(await socket.next('auth')).toMatchObject({ ticket: 1, __generation: 1 })
    socket.cut()
    expect(await server.acceptSession('one')).toMatchObject({ ticket: 2, __generation: 2 })
  })

  it('does not wait for WebSocket on the next connection after long-poll has worked', async () => {
    withoutWaiting()
    const { server, client } = await fallBack()
    ;(await server.request('poll')).refuse(401, { __type: 'authError', reason: 'Auth expected' })
    await server.acceptSession('two')
    await reaches(client, 'connected')
    expect(server.pendingHandshakes).toBe(0)
  })

  it('tries WebSocket again after long-poll has failed too', async () => {
    withoutWaiting()
    const { server, client } = await fallBack()
    ;(await server.request('poll')).refuse(401, { __type: 'authError', reason: 'Auth expected' })
    server.upgrades = 'accept'
    ;(await server.request('auth')).answerWith(502, '')
    await server.accept()
    await reaches(client, 'connected')
    expect(client.transport).toBe('websocket')
  })

  it('waits for the backoff when both transports fail', async () => {
    const server = await scriptedServer('refuse')
    stopTime()
    const client = makeClient(server.url)
    void client.connect()
    ;(await server.request('auth')).answerWith(502, '')
    await reaches(client, 'reconnecting')
    expect(client.getSnapshot()).toMatchObject({ attempt: 1, error: { code: 'connection' } })
    await server.handshake()
    vi.advanceTimersByTime(499)
    await server.handshake()
  })

  it('does not try the other transport when the auth function fails', async () => {
    const server = await scriptedServer()
    const auth = vi.fn().mockRejectedValue(new Error('offline'))
    const client = makeClient(server.url, { auth, maxAttempts: 0 })
    hear(client, 'error')
    await expect(client.connect()).rejects.toMatchObject({ code: 'maxAttempts' })
    expect(auth).toHaveBeenCalledOnce()
  })
})

describe('C2 a refusal never leads to the other transport', () => {
  it('by authError on a WebSocket', async () => {
    const server = await scriptedServer()
    const client = makeClient(server.url)
    const connected = client.connect()
    const socket = await server.socket()
    await socket.next('auth')
    socket.send({ __type: 'authError', reason: 'Unauthorized' })
    await expect(connected).rejects.toMatchObject({ code: 'unauthorized' })
    expect(client.status).toBe('disconnected')
    expect(server.pendingRequests).toEqual([])
  })

  it('by close code 4401', async () => {
    const server = await scriptedServer()
    const client = makeClient(server.url)
    const connected = client.connect()
    ;(await server.socket()).close(4401, 'Unauthorized')
    await expect(connected).rejects.toMatchObject({ code: 'unauthorized' })
    expect(server.pendingRequests).toEqual([])
  })

  it.each([401, 403])(
    'by an HTTP %d to the handshake, which a page can not see: long-poll gets it too, and it is final',
    async (status) => {
      const server = await scriptedServer('refuse')
      const client = makeClient(server.url)
      const connected = client.connect()
      ;(await server.request('auth')).answerWith(status, 'Please log in')
      await expect(connected).rejects.toMatchObject({ code: 'unauthorized' })
      expect(server.pendingHandshakes).toBe(1)
    },
  )

  it('by another final close code before authentication', async () => {
    const server = await scriptedServer()
    const client = makeClient(server.url)
    const connected = client.connect()
    ;(await server.socket()).close(4403, 'Disconnected by the server')
    await expect(connected).rejects.toMatchObject({ code: 'disconnected' })
    expect(server.pendingRequests).toEqual([])
  })
})
