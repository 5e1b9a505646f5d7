import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { stopTime } from './fakeTime.ts'
import { makeClient, reaches, scriptedServer } from './scriptedServer.ts'
import type { ScriptedServer } from './scriptedServer.ts'

/** The storage that all pages of one tab share. */
function tabStorage() {
  const items = new Map<string, string>()
  const storage = {
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => void items.set(key, value),
    removeItem: (key: string) => void items.delete(key),
  }
  vi.stubGlobal('sessionStorage', storage)
  onTestFinished(() => void vi.unstubAllGlobals())
  return items
}

let sessions = 0

/** A page on which the client waits four seconds for a blocked WebSocket, and then connects with long-poll. */
async function pageThatWaits(server: ScriptedServer) {
  const client = makeClient(server.url)
  const connected = client.connect()
  await server.handshake()
  vi.advanceTimersByTime(4_000)
  await server.acceptSession(`session ${sessions++}`)
  await connected
  return client
}

/** A page on which the client connects with long-poll and does not try a WebSocket before. */
async function pageThatKnows(server: ScriptedServer) {
  const client = makeClient(server.url)
  const connected = client.connect()
  await server.acceptSession(`session ${sessions++}`)
  await connected
  expect(server.pendingHandshakes).toBe(0)
  return client
}

describe('on a network where WebSockets get no answer', () => {
  it('only the first page of a tab waits for one', async () => {
    tabStorage()
    stopTime()
    const server = await scriptedServer('hang')
    await (await pageThatWaits(server)).disconnect()
    await (await pageThatKnows(server)).disconnect()
    await pageThatKnows(server)
  })

  it('the client reads the storage only when it connects', async () => {
    const get = vi.fn().mockReturnValue(null)
    vi.stubGlobal('sessionStorage', { getItem: get })
    onTestFinished(() => void vi.unstubAllGlobals())
    const server = await scriptedServer()
    const client = makeClient(server.url)
    expect(get).not.toHaveBeenCalled()
    void client.connect()
    await server.accept()
    expect(get).toHaveBeenCalledOnce()
  })

  it('the probe is made at its time on any page of the tab, and the client moves to a working WebSocket', async () => {
    const items = tabStorage()
    stopTime()
    const server = await scriptedServer('hang')
    await (await pageThatWaits(server)).disconnect()
    vi.advanceTimersByTime(20_000)
    await (await pageThatKnows(server)).disconnect()
    const client = await pageThatKnows(server)
    vi.advanceTimersByTime(9_999)
    expect(server.pendingHandshakes).toBe(0)
    server.upgrades = 'accept'
    vi.advanceTimersByTime(1)
    await server.accept()
    if (client.transport !== 'websocket') await new Promise((resolve) => client.once('status', resolve))
    expect(client.transport).toBe('websocket')
    await client.disconnect()
    expect(items.size).toBe(0)
    const next = makeClient(server.url)
    void next.connect()
    await server.accept()
    await reaches(next, 'connected')
    expect(next.transport).toBe('websocket')
  })

  it('an overdue probe is made at once, while long-poll is in use', async () => {
    tabStorage()
    stopTime()
    const server = await scriptedServer('hang')
    await (await pageThatWaits(server)).disconnect()
    vi.advanceTimersByTime(60_000)
    const client = await pageThatKnows(server)
    vi.advanceTimersByTime(0)
    await server.handshake()
    expect(client.transport).toBe('longpoll')
  })

  it('a clock that is set back does not delay the probe', async () => {
    tabStorage()
    stopTime()
    const server = await scriptedServer('hang')
    await (await pageThatWaits(server)).disconnect()
    vi.setSystemTime(Date.now() - 86_400_000)
    await pageThatKnows(server)
    vi.advanceTimersByTime(30_000)
    await server.handshake()
  })

  it('the stored time is only for its URL', async () => {
    tabStorage()
    stopTime()
    const [one, other] = [await scriptedServer('hang'), await scriptedServer()]
    await pageThatWaits(one)
    const client = makeClient(other.url)
    void client.connect()
    await other.accept()
    await reaches(client, 'connected')
  })

  it.each(['refuse', 'HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7', 'HTTP/1.1 503 Busy'] as const)(
    'nothing is stored when a WebSocket fails at once (%j): the next page tries one',
    async (upgrades) => {
      const items = tabStorage()
      const server = await scriptedServer(upgrades)
      const client = makeClient(server.url)
      const connected = client.connect()
      await server.handshake()
      await server.acceptSession('one')
      await connected
      expect(items.size).toBe(0)
    },
  )

  it('nothing is stored when long-poll fails too', async () => {
    const items = tabStorage()
    stopTime()
    const server = await scriptedServer('hang')
    const client = makeClient(server.url)
    void client.connect()
    await server.handshake()
    vi.advanceTimersByTime(4_000)
    const lost = reaches(client, 'reconnecting')
    ;(await server.request('auth')).drop()
    await lost
    expect(items.size).toBe(0)
  })

  it.each<[string, () => void]>([
    ['is missing', () => vi.stubGlobal('sessionStorage', undefined)],
    [
      'throws on access',
      () =>
        Object.defineProperty(globalThis, 'sessionStorage', {
          configurable: true,
          get: () => {
            throw new DOMException('The operation is insecure.', 'SecurityError')
          },
        }),
    ],
    [
      'is full',
      () =>
        vi.stubGlobal('sessionStorage', {
          getItem: () => null,
          setItem: () => {
            throw new DOMException('Full', 'QuotaExceededError')
          },
        }),
    ],
    [
      'holds something else',
      () => vi.stubGlobal('sessionStorage', { getItem: () => 'x', setItem: () => {} }),
    ],
  ])('each page waits for the timeout itself when the storage %s', async (_how, stub) => {
    const before = Object.getOwnPropertyDescriptor(globalThis, 'sessionStorage')
    stub()
    onTestFinished(() => {
      vi.unstubAllGlobals()
      if (before) Object.defineProperty(globalThis, 'sessionStorage', before)
      else Reflect.deleteProperty(globalThis, 'sessionStorage')
    })
    stopTime()
    const server = await scriptedServer('hang')
    await (await pageThatWaits(server)).disconnect()
    await pageThatWaits(server)
  })
})
