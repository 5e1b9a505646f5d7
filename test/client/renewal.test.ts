import { shareTabs, type BroadcasterClient, type ClientOptions } from '@broadcaster/client'
import { describe, expect, it, vi } from 'vitest'
import { stubBrowser } from '../support/webLocks.ts'
import { stopTime, withoutWaiting } from './fakeTime.ts'
import { collect, hear, makeClient, reaches, scriptedServer, until } from './scriptedServer.ts'
import type { ScriptedServer } from './scriptedServer.ts'

const EXPIRED = 'Credentials have expired'
const message = (body: string) => ({ __type: 'message', channel: 'news', body, position: `p${body}` })

/** A client that is subscribed to `news`, and has message 1. Each of its connections has another token. */
async function subscribed(options: ClientOptions = {}) {
  const server = await scriptedServer()
  let tokens = 0
  const auth = vi.fn(async () => ({ token: ++tokens }))
  const client = makeClient(server.url, { mode: 'websocket', auth, ...options })
  const news = collect()
  const onStatus = vi.fn()
  const subscription = client.subscribe('news', news, { onStatus })
  const socket = await server.accept()
  await socket.confirm('news', { position: 'p0' })
  await subscription.ready
  socket.send(message('1'))
  expect(await news.next()).toBe('1')
  onStatus.mockClear()
  return { server, client, news, subscription, onStatus, socket, auth }
}

/** The client comes back with this token. It has this message, and gets the next one. */
async function continues(server: ScriptedServer, token: number, last = 1) {
  const socket = await server.accept()
  expect(socket.auth).toMatchObject({ token })
  const position = `p${last + 1}`
  const answer = { position, recovered: true, messages: [[`${last + 1}`, position]] }
  expect(await socket.confirm('news', answer)).toMatchObject({ position: `p${last}` })
  return socket
}

describe('A8: a client whose WebSocket is closed with 4411', () => {
  it('comes back at once with fresh credentials, from its position, and its channel stays subscribed', async () => {
    const { server, client, news, onStatus, socket, subscription } = await subscribed()
    // Without this, a backoff could be 0 ms too.
    stopTime()
    const statuses = hear(client, 'status')
    socket.close(4411, EXPIRED)
    await reaches(client, 'reconnecting')
    expect(client.error).toMatchObject({ code: 'reauthorize', message: `${EXPIRED} (4411)` })
    expect(subscription.status).toBe('subscribed')
    const next = await continues(server, 2)
    next.send(message('3'))
    expect(await news.take(2)).toEqual(['2', '3'])
    expect(onStatus).not.toHaveBeenCalled()
    expect(statuses.pending.map(([{ to, attempt }]) => [to, attempt])).toEqual([
      ['reconnecting', undefined],
      ['connected', undefined],
    ])
  })

  it('waits for its auth function, and is reconnecting meanwhile', async () => {
    let answer = (_data: object) => {}
    const tokens = [
      { token: 1 },
      new Promise<{ token: number }>((resolve) => (answer = resolve as typeof answer)),
    ]
    const auth = vi.fn(() => tokens.shift()!)
    const { server, client, news, socket } = await subscribed({ auth })
    socket.close(4411, EXPIRED)
    await until('auth to be called', () => auth.mock.calls.length === 2)
    expect(client.status).toBe('reconnecting')
    answer({ token: 2 })
    await continues(server, 2)
    expect(await news.next()).toBe('2')
  })

  it('tries again with the backoff if its auth function throws, and its channel is subscribing then', async () => {
    const answers = [() => ({ token: 1 }), () => fail(), () => fail(), () => ({ token: 2 })]
    const fail = () => {
      throw new Error('the token server is away')
    }
    const { server, client, news, socket, subscription } = await subscribed({
      auth: () => answers.shift()!(),
    })
    const errors = hear(client, 'error')
    stopTime()
    socket.close(4411, EXPIRED)
    await reaches(client, 'reconnecting')
    for (const [attempt, waitMs] of [
      [1, 499],
      [2, 999],
    ] as const) {
      expect(await errors.take('an error')).toMatchObject([{ code: 'authFunction' }])
      await until('a wait', () => client.getSnapshot().attempt === attempt)
      expect(client.getSnapshot().retryAt).toBe(Date.now() + waitMs)
      expect(subscription.status).toBe('subscribing')
      vi.advanceTimersByTime(waitMs)
    }
    await continues(server, 2)
    expect(await news.next()).toBe('2')
  })

  it('has unauthorized if the fresh credentials are refused', async () => {
    const { server, client, socket, subscription } = await subscribed()
    socket.close(4411, EXPIRED)
    const next = await server.socket()
    await next.next('auth')
    next.send({ __type: 'authError', reason: 'Unauthorized' })
    await reaches(client, 'disconnected')
    expect(client.error).toMatchObject({ code: 'unauthorized' })
    expect(subscription.status).toBe('error')
  })

  it('uses the backoff if that happens again within a second', async () => {
    const { server, client, socket } = await subscribed()
    stopTime()
    socket.close(4411, EXPIRED)
    await reaches(client, 'reconnecting')
    const next = await continues(server, 2)
    await reaches(client, 'connected')
    vi.advanceTimersByTime(999)
    next.close(4411, EXPIRED)
    await until('a wait', () => client.getSnapshot().attempt === 1)
    expect(client.getSnapshot()).toMatchObject({ attempt: 1, retryAt: Date.now() + 499 })
  })

  it('comes back at once each time if that happens every second, also with maxAttempts: 0', async () => {
    const { server, client, socket } = await subscribed({ maxAttempts: 0 })
    stopTime()
    let last: { close(code: number): void } = socket
    for (let token = 2; token < 6; token++) {
      last.close(4411)
      await reaches(client, 'reconnecting')
      last = await continues(server, token, token - 1)
      await reaches(client, 'connected')
      vi.advanceTimersByTime(1000)
    }
  })

  it('has unsubscribed as the error of a channel that it may no longer have', async () => {
    const { server, socket, subscription } = await subscribed()
    socket.close(4411)
    const next = await server.accept()
    await next.next('subscribe')
    next.send({ __type: 'subscribeError', channel: 'news', reason: 'Channel refused' })
    await until('the refusal', () => subscription.status === 'refused')
    expect(subscription.error).toMatchObject({ code: 'unsubscribed' })
  })

  it('makes one connection if connect() is called again while its auth function is pending', async () => {
    const answers: ((data: object) => void)[] = []
    const auth = vi.fn(() =>
      auth.mock.calls.length === 1 ? { token: 1 } : new Promise<object>((resolve) => answers.push(resolve)),
    )
    const { server, client, news, socket } = await subscribed({ auth: auth as ClientOptions['auth'] & {} })
    socket.close(4411, EXPIRED)
    await until('auth to be called', () => answers.length === 1)
    await client.disconnect()
    void client.connect()
    await until('auth to be called again', () => answers.length === 2)
    answers[0]!({ token: 'late' })
    answers[1]!({ token: 2 })
    const next = await continues(server, 2)
    expect(await news.next()).toBe('2')
    next.send(message('3'))
    expect(await news.next()).toBe('3')
    expect(server.pendingHandshakes).toBe(2)
  })

  it('does not come back if disconnect() is called meanwhile', async () => {
    const { server, client, socket } = await subscribed()
    client.once('status', () => void client.disconnect())
    socket.close(4411)
    await reaches(client, 'disconnected')
    expect(client.error).toBeNull()
    void client.connect()
    expect((await server.accept()).auth).toMatchObject({ token: 2 })
  })
})

it('A8: a client whose session has ended authenticates at once with fresh credentials', async () => {
  const server = await scriptedServer()
  let tokens = 0
  const client = makeClient(server.url, { mode: 'longpoll', auth: () => ({ token: ++tokens }) })
  const news = collect()
  const onStatus = vi.fn()
  const subscription = client.subscribe('news', news, { onStatus })
  await server.acceptSession('first')
  await server.confirm('news', { position: 'p0' })
  await subscription.ready
  onStatus.mockClear()
  stopTime()
  const poll = await server.request('poll')
  poll.refuse(401, { __type: 'authError', reason: 'Auth expected' })
  await reaches(client, 'reconnecting')
  expect(await server.acceptSession('second')).toMatchObject({ token: 2, __previous: 'first' })
  const answer = { position: 'p1', recovered: true, messages: [['1', 'p1']] }
  expect(await server.confirm('news', answer)).toMatchObject({ position: 'p0' })
  expect(await news.next()).toBe('1')
  expect(onStatus).not.toHaveBeenCalled()
})

it('A8: tabs that share a connection see nothing of it', async () => {
  withoutWaiting()
  stubBrowser()
  const server = await scriptedServer()
  let tokens = 0
  const options: ClientOptions = {
    mode: 'websocket',
    auth: () => ({ user: 'alice', token: ++tokens }),
    shareTabs: shareTabs({ key: () => 'alice' }),
  }
  const open = () => {
    const client = makeClient(server.url, options)
    const news = collect()
    const onStatus = vi.fn()
    return { client, news, onStatus, subscription: client.subscribe('news', news, { onStatus }) }
  }
  const first = open()
  const socket = await server.accept()
  await socket.confirm('news', { position: 'p0' })
  await first.subscription.ready
  const second = open()
  await second.subscription.ready
  socket.send(message('1'))
  for (const { news, onStatus } of [first, second]) {
    expect(await news.next()).toBe('1')
    onStatus.mockClear()
  }
  const statusesOf = ({ client }: { client: BroadcasterClient }) => hear(client, 'status')
  const statuses = [statusesOf(first), statusesOf(second)]
  socket.close(4411, EXPIRED)
  const next = await server.accept()
  expect(next.auth['token']).toBeGreaterThan(1)
  const answer = { position: 'p2', recovered: true, messages: [['2', 'p2']] }
  expect(await next.confirm('news', answer)).toMatchObject({ position: 'p1' })
  next.send(message('3'))
  for (const { news, onStatus } of [first, second]) {
    expect(await news.take(2)).toEqual(['2', '3'])
    expect(onStatus).not.toHaveBeenCalled()
  }
  for (const { pending } of statuses) expect(pending.map(([{ to }]) => to)).not.toContain('reconnecting')
})
