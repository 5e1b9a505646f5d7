import { afterEach, describe, expect, it, vi } from 'vitest'
import { transports } from '../support/subject.ts'
import { another, create, listen } from './support.ts'

/** What `jest.useFakeTimers()` replaces. Vitest leaves microtasks alone. */
const likeJest = [
  'setTimeout',
  'clearTimeout',
  'setInterval',
  'clearInterval',
  'setImmediate',
  'clearImmediate',
  'queueMicrotask',
  'performance',
  'Date',
] as const

afterEach(() => void vi.useRealTimers())

describe.each(transports)('with fake timers, over %s', (mode) => {
  it.each(['before', 'after'])(
    'delivers without time, if they were installed %s it was created',
    async (when) => {
      if (when === 'before') vi.useFakeTimers({ toFake: [...likeJest] })
      const { client, publish, drop, restore, gap, expire, close } = create({ client: { mode } })
      const { heard, gaps } = listen(client, 'news')
      if (when === 'after') {
        await publish('news', 'zero')
        vi.useFakeTimers({ toFake: [...likeJest] })
      }
      await publish('news', 'one')
      await drop()
      await publish('news', 'two')
      await restore()
      await gap('news', 'node')
      await expire()
      await publish('news', 'three')
      expect(heard.slice(-3)).toEqual(['one', 'two', 'three'])
      expect(gaps).toEqual(['node'])
      await close()
      expect(vi.getTimerCount()).toBe(0)
    },
  )

  it('delays by them, and keeps the order', async () => {
    vi.useFakeTimers()
    const { client, publish, delay } = create({ client: { mode } })
    const { heard } = listen(client, 'news')
    await publish('news', 'one')
    delay(500)
    await publish('news', 'two')
    delay(100)
    await publish('news', 'three')
    await vi.advanceTimersByTimeAsync(99)
    expect(heard).toEqual(['one'])
    await vi.advanceTimersByTimeAsync(1100)
    expect(heard).toEqual(['one', 'two', 'three'])
  })

  it('ends credentials by them, and the client gets new ones', async () => {
    vi.useFakeTimers()
    let token = 0
    const { client, publish, sent, settled, close } = create({
      client: { mode, auth: () => ({ token: ++token }) },
      canConnect: () => ({ expiresAt: new Date(Date.now() + 60_000) }),
    })
    const { heard, gaps } = listen(client, 'news')
    await publish('news', 'one')
    await vi.advanceTimersByTimeAsync(59_000)
    expect(sent('auth')).toHaveLength(1)
    for (const body of ['two', 'three']) {
      await vi.advanceTimersByTimeAsync(60_000)
      await settled()
      await publish('news', body)
    }
    expect(sent('auth').map((auth) => auth['token'])).toEqual([1, 2, 3])
    expect([heard, gaps]).toEqual([['one', 'two', 'three'], []])
    await close()
    expect(vi.getTimerCount()).toBe(0)
  })

  it('delays subscriptions too', async () => {
    vi.useFakeTimers()
    const { client, delay, settled } = create({ client: { mode } })
    delay(100)
    const { subscription } = listen(client, 'news')
    await settled()
    expect(subscription.status).toBe('subscribing')
    await vi.advanceTimersByTimeAsync(1000)
    expect(subscription.status).toBe('subscribed')
  })

  it('loses nothing if they are removed while something is delayed', async () => {
    vi.useFakeTimers()
    const { client, publish, delay } = create({ client: { mode } })
    const { heard } = listen(client, 'news')
    await publish('news', 'one')
    delay(500)
    await publish('news', 'two')
    vi.useRealTimers()
    delay(0)
    await publish('news', 'three')
    expect(heard).toEqual(['one', 'two', 'three'])
  })

  it('changes the order of channels, but not within a channel', async () => {
    vi.useFakeTimers()
    const { client, publish, delay, reorder } = create({ client: { mode } })
    const heard: string[] = []
    for (const channel of ['orders', 'payments'])
      client.subscribe(channel, (body) => heard.push(`${channel} ${body}`))
    await publish('orders', '0')
    heard.length = 0
    delay(100)
    // Over long-poll, everything after this message comes with the answer to the next poll.
    await publish('orders', '1')
    for (const body of ['2', '3']) {
      await publish('orders', body)
      await publish('payments', body)
    }
    if (mode === 'longpoll') await vi.advanceTimersByTimeAsync(100)
    reorder()
    await vi.advanceTimersByTimeAsync(100)
    const orders = ['orders 1', 'orders 2', 'orders 3']
    const payments = ['payments 2', 'payments 3']
    expect(heard).toEqual(
      mode === 'longpoll' ? [orders[0], ...payments, ...orders.slice(1)] : [...payments, ...orders],
    )
  })

  it('lets other clients reconnect after their backoff', async () => {
    vi.useFakeTimers()
    const broadcaster = create()
    const client = another(broadcaster, { mode })
    const { heard } = listen(client, 'news')
    await broadcaster.publish('news', 'one')
    await broadcaster.drop()
    await broadcaster.publish('news', 'two')
    await vi.advanceTimersByTimeAsync(60_000)
    expect(client.status).toBe('reconnecting')
    await broadcaster.restore()
    expect(heard).toEqual(['one'])
    await vi.advanceTimersByTimeAsync(20_000)
    expect(heard).toEqual(['one', 'two'])
  })

  it('stays connected for a day that passes step by step', async () => {
    vi.useFakeTimers()
    const { client, publish } = create({ client: { mode } })
    const { heard } = listen(client, 'news')
    const statuses: string[] = []
    client.on('status', ({ to }) => statuses.push(to))
    await publish('news', 'one')
    await vi.advanceTimersByTimeAsync(mode === 'longpoll' ? 3_600_000 : 86_400_000)
    await publish('news', 'two')
    expect(heard).toEqual(['one', 'two'])
    expect(statuses).toEqual(['connected'])
  })
})

it('stays connected over WebSocket, if a test moves fake timers by an hour at once', async () => {
  vi.useFakeTimers()
  const { client, publish } = create()
  const { heard } = listen(client, 'news')
  await publish('news', 'one')
  vi.advanceTimersByTime(3_600_000)
  await publish('news', 'two')
  expect(heard).toEqual(['one', 'two'])
  expect(client.status).toBe('connected')
})
