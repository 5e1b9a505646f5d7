import { describe, expect, it, vi } from 'vitest'
import { fakePage, stopTime } from './fakeTime.ts'
import { message, subscribeNews } from './pollingClient.ts'
import {
  collect,
  connectLongPoll,
  connectWebSocket,
  hear,
  makeClient,
  reaches,
  scriptedServer,
} from './scriptedServer.ts'

const BUSY = JSON.stringify([{ __type: 'serverError', reason: 'Too many requests' }])

describe('C1 close code 4429', () => {
  it('makes the client wait one second, reconnect and continue from its position', async () => {
    stopTime(0)
    const { server, client, socket } = await connectWebSocket()
    const news = collect()
    const subscription = client.subscribe('news', news)
    await socket.confirm('news', { position: 'p0' })
    await subscription.ready
    const lost = reaches(client, 'reconnecting')
    socket.close(4429, 'Too many requests')
    expect(await lost).toMatchObject({
      reason: 'Too many requests (4429)',
      error: { code: 'connection', retryAfterMs: 1_000 },
      attempt: 1,
      retryInMs: 1_000,
    })
    vi.advanceTimersByTime(999)
    expect(server.pendingHandshakes).toBe(1)
    vi.advanceTimersByTime(1)
    const next = await server.accept()
    expect(await next.confirm('news', { position: 'p1', recovered: true, messages: [['a', 'p1']] })).toEqual({
      __type: 'subscribe',
      channel: 'news',
      position: 'p0',
    })
    expect(await news.next()).toBe('a')
  })

  it('makes the wait longer each time that the server accepts the client and closes again', async () => {
    stopTime()
    const { client, server, socket } = await connectWebSocket()
    const waited: number[] = []
    let current: { close(code: number): void } = socket
    for (let round = 0; round < 4; round++) {
      const lost = reaches(client, 'reconnecting')
      current.close(4429)
      waited.push((await lost)!.retryInMs!)
      vi.advanceTimersByTime(waited.at(-1)!)
      current = await server.accept()
      await reaches(client, 'connected')
    }
    expect(waited).toEqual([1_499, 1_999, 2_999, 4_999])
  })

  it.each(['before the client is authenticated', 'of a WebSocket that is tried beside long-poll'])(
    '%s does not lead to the other transport',
    async (when) => {
      const isProbe = when.includes('beside')
      const page = fakePage()
      const server = await scriptedServer(isProbe ? 'refuse' : 'accept')
      const client = makeClient(server.url)
      const connected = client.connect()
      if (isProbe) {
        await server.acceptSession('one')
        await connected
        server.upgrades = 'accept'
        page.goOnline()
      }
      const socket = await server.socket()
      await socket.next('auth')
      const lost = isProbe ? undefined : reaches(client, 'reconnecting')
      socket.close(4429)
      await socket.closed()
      await lost
      expect(server.pendingRequests.filter(({ __type }) => __type === 'auth')).toEqual([])
      expect(client.transport).toBe(isProbe ? 'longpoll' : null)
    },
  )
})

describe.each([
  [429, { 'Retry-After': '7' }, 7_000],
  [429, {}, 1_000],
  [503, { 'Retry-After': '7' }, 7_000],
] as const)('C1 HTTP %s with %j', (status, headers, waitMs) => {
  it('to auth makes the client wait and then authenticate', async () => {
    const server = await scriptedServer('refuse')
    stopTime(0)
    const client = makeClient(server.url, { mode: 'longpoll' })
    const connected = client.connect()
    const lost = reaches(client, 'reconnecting')
    ;(await server.request('auth')).answerWith(status, BUSY, headers)
    expect(await lost).toMatchObject({
      reason: `HTTP ${status} Too many requests`,
      error: { code: 'connection', retryAfterMs: waitMs },
      retryInMs: waitMs,
    })
    vi.advanceTimersByTime(waitMs - 1)
    expect(server.pendingRequests).toEqual([])
    vi.advanceTimersByTime(1)
    await server.acceptSession('one')
    await connected
  })

  it('to a poll makes the client wait and send the same poll again, and no message is lost', async () => {
    stopTime(0)
    const { server, client, news } = await subscribeNews()
    const poll = await server.request('poll')
    const lost = reaches(client, 'reconnecting')
    poll.answerWith(status, BUSY, headers)
    expect(await lost).toMatchObject({ error: { retryAfterMs: waitMs }, attempt: 1, retryInMs: waitMs })
    vi.advanceTimersByTime(waitMs - 1)
    expect(server.pendingRequests).toEqual([])
    vi.advanceTimersByTime(1)
    const again = await server.request('poll')
    expect(again.message).toEqual(poll.message)
    again.answer(message('b', 'p2'))
    expect(await news.next()).toBe('b')
    expect(client.status).toBe('connected')
  })

  it('to subscribe makes the client wait and subscribe again, and the connection stays', async () => {
    stopTime(0)
    const { server, client } = await connectLongPoll()
    const subscription = client.subscribe('news', () => {})
    const request = await server.request('subscribe')
    const told = new Promise((resolve) => {
      client.subscribe('news', () => {}, { onStatus: (_, error) => resolve(error) })
    })
    request.answerWith(status, BUSY, headers)
    expect(await told).toMatchObject({ code: 'serverError', retryAfterMs: waitMs })
    expect(client.status).toBe('connected')
    vi.advanceTimersByTime(waitMs - 1)
    expect(server.pendingRequests.filter(({ __type }) => __type === 'subscribe')).toEqual([])
    vi.advanceTimersByTime(1)
    await server.confirm('news', { position: 'p0' })
    await subscription.ready
  })

  it('to a handshake and then to auth does not change the transport of auto: it tries WebSocket again', async () => {
    const line = `HTTP/1.1 ${status} Later` as const
    const server = await scriptedServer(`${line}\r\nRetry-After: 7`)
    stopTime(0)
    const client = makeClient(server.url)
    const connected = client.connect()
    const lost = reaches(client, 'reconnecting')
    await server.handshake()
    ;(await server.request('auth')).answerWith(status, BUSY, headers)
    expect(await lost).toMatchObject({ retryInMs: waitMs })
    server.upgrades = 'accept'
    vi.advanceTimersByTime(waitMs)
    await server.accept()
    await connected
    expect(client.transport).toBe('websocket')
    expect(server.pendingRequests).toEqual([])
  })
})

describe('the wait that a server asks for', () => {
  it('is not shortened by online, a visible page, or connect()', async () => {
    const page = fakePage()
    stopTime(0)
    const { server, client, socket } = await connectWebSocket()
    const errors = hear(client, 'status')
    const lost = reaches(client, 'reconnecting')
    socket.close(4429)
    await lost
    expect(server.pendingHandshakes).toBe(1)
    for (let time = 0; time < 10; time++) {
      page.goOnline()
      page.become('visible')
      void client.connect()
    }
    expect(errors.pending).toHaveLength(1)
    vi.advanceTimersByTime(999)
    expect(client.getSnapshot().retryAt).not.toBeNull()
    vi.advanceTimersByTime(1)
    await server.accept()
    await reaches(client, 'connected')
  })

  it('is not shortened for a poll either', async () => {
    const page = fakePage()
    stopTime(0)
    const { server, client } = await connectLongPoll()
    const lost = reaches(client, 'reconnecting')
    ;(await server.request('poll')).answerWith(429, BUSY, { 'Retry-After': '5' })
    await lost
    page.goOnline()
    void client.connect()
    vi.advanceTimersByTime(4_999)
    expect(server.pendingRequests).toEqual([])
    vi.advanceTimersByTime(1)
    await server.request('poll')
  })

  it('is over as soon as the page is visible, if the machine slept longer than the wait', async () => {
    const page = fakePage()
    stopTime(0)
    const { server, client, socket } = await connectWebSocket()
    const lost = reaches(client, 'reconnecting')
    socket.close(4429)
    await lost
    // The clock continues while a machine sleeps, timers do not.
    vi.setSystemTime(Date.now() + 60_000)
    page.become('visible')
    await server.accept()
    await reaches(client, 'connected')
  })

  it('ends with disconnect(), and connect() after that does not wait', async () => {
    stopTime(0)
    const { server, client, socket } = await connectWebSocket()
    const lost = reaches(client, 'reconnecting')
    socket.close(4429)
    await lost
    await client.disconnect()
    void client.connect()
    await server.accept()
    await reaches(client, 'connected')
  })

  it('counts as an attempt', async () => {
    const { client, socket } = await connectWebSocket({ maxAttempts: 0 })
    const lost = reaches(client, 'disconnected')
    socket.close(4429)
    expect(await lost).toMatchObject({ error: { code: 'maxAttempts', cause: { retryAfterMs: 1_000 } } })
  })
})

describe('Retry-After', () => {
  it.each([
    ['0', 0],
    ['1', 1_000],
    ['120', 120_000],
    ['Thu, 01 Jan 2026 00:00:30 GMT', 30_000],
    // A time in the past: one of the two clocks is wrong.
    ['Wed, 31 Dec 2025 23:59:30 GMT', 0],
    // At most one day. Longer timers overflow and fire at once.
    ['99999999999999999999', 86_400_000],
    ['Fri, 01 Jan 2100 00:00:00 GMT', 86_400_000],
    // An invalid value counts as no value.
    ['', 1_000],
    ['soon', 1_000],
    ['1e3 seconds', 1_000],
    ['-5', 1_000],
  ])('"%s" is a wait of %s ms', async (value, retryInMs) => {
    const server = await scriptedServer()
    stopTime(0)
    vi.setSystemTime('2026-01-01T00:00:00Z')
    const client = makeClient(server.url, { mode: 'longpoll' })
    void client.connect()
    const lost = reaches(client, 'reconnecting')
    ;(await server.request('auth')).answerWith(429, BUSY, { 'Retry-After': value })
    expect(await lost).toMatchObject({ retryInMs })
  })

  it('is optional: the answer of a custom fetch may have no headers', async () => {
    stopTime(0)
    const server = await scriptedServer()
    let busy = true
    const client = makeClient(server.url, {
      mode: 'longpoll',
      fetch: async (url, init) => {
        const { status, text } = busy ? { status: 429, text: async () => BUSY } : await answer(url, init)
        return { status, text }
      },
    })
    const connected = client.connect()
    expect(await reaches(client, 'reconnecting')).toMatchObject({ retryInMs: 1_000 })
    busy = false
    vi.advanceTimersByTime(1_000)
    await server.acceptSession('one')
    await connected
  })
})

async function answer(url: string, init: RequestInit) {
  const response = await fetch(url, init)
  return { status: response.status, text: () => response.text() }
}
