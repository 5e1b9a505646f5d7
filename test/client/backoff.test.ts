import { describe, expect, it, vi } from 'vitest'
import { fakePage, LONGEST, stopTime, withoutWaiting } from './fakeTime.ts'
import { connectWebSocket, hear, makeClient, reaches, scriptedServer } from './scriptedServer.ts'
import { sentence } from './sentence.ts'

describe('the backoff', () => {
  /** Makes every attempt fail. Returns how long the client waits before each attempt. */
  async function waits(count: number, random: number) {
    const server = await scriptedServer('refuse')
    stopTime(random)
    const client = makeClient(server.url, { mode: 'websocket' })
    const changes = hear(client, 'status')
    void client.connect()
    const waited: number[] = []
    for (let attempt = 1; attempt <= count; attempt++) {
      const [change] = await changes.take('a wait', ([{ retryInMs }]) => retryInMs !== undefined)
      expect(change.attempt).toBe(attempt)
      expect(client.getSnapshot().retryAt).toBe(Date.now() + change.retryInMs)
      waited.push(change.retryInMs)
      vi.advanceTimersByTime(change.retryInMs)
      expect(client.getSnapshot().retryAt).toBeNull()
    }
    return waited
  }

  it('doubles up to 20 seconds', async () => {
    expect(await waits(9, LONGEST)).toEqual([499, 999, 1999, 3999, 7999, 15999, 19999, 19999, 19999])
  })

  it('is full jitter', async () => {
    expect(await waits(5, 0.5)).toEqual([250, 500, 1000, 2000, 4000])
    expect(await waits(3, 0)).toEqual([0, 0, 0])
  })

  it('ends after maxAttempts failures in a row, and the error has the last failure as its cause', async () => {
    withoutWaiting()
    const server = await scriptedServer('refuse')
    const client = makeClient(server.url, { mode: 'websocket', maxAttempts: 2 })
    await expect(client.connect()).rejects.toMatchObject({
      code: 'maxAttempts',
      cause: expect.objectContaining({ code: 'connection' }),
    })
    expect(server.pendingHandshakes).toBe(3)
    expect(client.status).toBe('disconnected')
  })

  it('counts attempts since the last connection', async () => {
    withoutWaiting()
    const server = await scriptedServer()
    const client = makeClient(server.url, { mode: 'websocket', maxAttempts: 1 })
    void client.connect()
    for (let round = 0; round < 3; round++) {
      const socket = await server.accept()
      await reaches(client, 'connected')
      socket.cut()
      await reaches(client, 'reconnecting')
    }
    await server.accept()
    await reaches(client, 'connected')
  })

  it('keeps growing while the server accepts each connection and closes it soon', async () => {
    const server = await scriptedServer()
    stopTime()
    const client = makeClient(server.url, { mode: 'websocket' })
    const changes = hear(client, 'status')
    void client.connect()
    const waited: number[] = []
    for (let round = 0; round < 4; round++) {
      const socket = await server.accept()
      await reaches(client, 'connected')
      // The third connection lasts.
      if (round === 2) vi.setSystemTime(Date.now() + 5_000)
      socket.close(1011)
      const [change] = await changes.take('a wait', ([{ retryInMs }]) => retryInMs !== undefined)
      waited.push(change.retryInMs)
      vi.advanceTimersByTime(change.retryInMs)
    }
    expect(waited).toEqual([499, 999, 499, 999])
  })

  it('is short when the server restarts, and this counts as no failure', async () => {
    const server = await scriptedServer()
    stopTime()
    const client = makeClient(server.url, { mode: 'websocket', maxAttempts: 0 })
    void client.connect()
    for (let round = 0; round < 3; round++) {
      const socket = await server.accept()
      await reaches(client, 'connected')
      const change = reaches(client, 'reconnecting')
      socket.close(1012, 'Service restart')
      expect(await change).toMatchObject({ retryInMs: 999 })
      expect(await change).not.toHaveProperty('attempt')
      vi.advanceTimersByTime(999)
    }
  })

  it('ends at once with connect()', async () => {
    const server = await scriptedServer('refuse')
    stopTime()
    const client = makeClient(server.url, { mode: 'websocket' })
    const connected = client.connect()
    await reaches(client, 'reconnecting')
    server.upgrades = 'accept'
    void client.connect()
    await server.accept()
    await connected
  })

  describe('ends at once', () => {
    const wakeUps: [string, (page: ReturnType<typeof fakePage>) => void][] = [
      ['when the network is back', (page) => page.goOnline()],
      ['when the page becomes visible', (page) => page.become('visible')],
      ['when the page comes back from the cache', (page) => page.show({ persisted: true })],
    ]
    it.each(wakeUps)('%s', async (_when, wakeUp) => {
      const page = fakePage()
      const server = await scriptedServer('refuse')
      stopTime()
      const client = makeClient(server.url, { mode: 'websocket' })
      const connected = client.connect()
      await reaches(client, 'reconnecting')
      server.upgrades = 'accept'
      wakeUp(page)
      await server.accept()
      await connected
    })

    it('but not when the page is hidden or is shown for the first time', async () => {
      const page = fakePage()
      const server = await scriptedServer('refuse')
      stopTime()
      const client = makeClient(server.url, { mode: 'websocket' })
      void client.connect()
      await reaches(client, 'reconnecting')
      page.become('hidden')
      page.show({ persisted: false })
      expect(client.getSnapshot().retryAt).not.toBeNull()
    })

    it('but not after disconnect()', async () => {
      const page = fakePage()
      const { client } = await connectWebSocket()
      expect(page.listeners).toBeGreaterThan(0)
      await client.disconnect()
      page.goOnline()
      page.become('visible')
      expect(client.status).toBe('disconnected')
      // The listeners on the page are removed, so many clients leave nothing behind.
      expect(page.listeners).toBe(0)
    })
  })

  it('starts when an attempt has no answer within `timeout`', async () => {
    const server = await scriptedServer('hang')
    stopTime(0)
    const client = makeClient(server.url, { mode: 'websocket', timeout: 7_000 })
    void client.connect()
    await server.handshake()
    vi.advanceTimersByTime(6_999)
    expect(client.status).toBe('connecting')
    vi.advanceTimersByTime(1)
    expect(client.status).toBe('reconnecting')
    expect(client.error).toMatchObject({
      code: 'timeout',
      message: sentence('The WebSocket did not open within 7000 ms'),
    })
  })

  it('starts when the auth function has no result within `timeout`', async () => {
    stopTime(0.5)
    const client = makeClient('ws://127.0.0.1:1', { timeout: 7_000, auth: () => new Promise(() => {}) })
    const errors = hear(client, 'error')
    void client.connect()
    await vi.advanceTimersByTimeAsync(7_000)
    expect(errors.pending).toMatchObject([[{ code: 'authFunction' }]])
    expect(client.status).toBe('reconnecting')
  })
})
