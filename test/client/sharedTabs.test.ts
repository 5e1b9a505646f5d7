import { shareTabs } from '@broadcaster/client'
import type { BroadcasterClient, ClientOptions } from '@broadcaster/client'
import { describe, expect, it } from 'vitest'
import { stubBrowser, stubPage } from '../support/webLocks.ts'
import { withoutWaiting } from './fakeTime.ts'
import { collect, hear, makeClient, reaches, scriptedServer, until } from './scriptedServer.ts'
import type { ScriptedServer, ScriptedSocket } from './scriptedServer.ts'
import { isDevelopment } from './sentence.ts'

// Several clients of one process are like tabs. In test/browser they are in real tabs.

const alice: ClientOptions = { mode: 'websocket', auth: { user: 'alice' }, shareTabs: shareTabs() }

const message = (channel: string, body: string) => ({
  __type: 'message',
  channel,
  body,
  position: `p${body}`,
})

/** A tab that has subscribed to `news`, and what it has heard. */
async function openTab(server: ScriptedServer, options = alice) {
  const client = makeClient(server.url, options)
  const news = collect()
  const gaps = hear(client, 'gap')
  const subscription = client.subscribe('news', news)
  return { client, news, gaps, subscription }
}

/** Two tabs that have received message 1. The first one leads. */
async function openTwo(server: ScriptedServer) {
  const first = await openTab(server)
  const socket = await server.accept()
  await socket.confirm('news', { position: 'p0' })
  await first.subscription.ready
  const second = await openTab(server)
  await second.subscription.ready
  socket.send(message('news', '1'))
  expect([await first.news.next(), await second.news.next()]).toEqual(['1', '1'])
  return { first, second, socket }
}

async function takeOver(server: ScriptedServer, leader: BroadcasterClient): Promise<ScriptedSocket> {
  await leader.disconnect()
  return server.accept()
}

describe('tabs that share a connection', () => {
  it('have one WebSocket and one subscription of each channel', async () => {
    stubBrowser()
    const server = await scriptedServer()
    const { first, second, socket } = await openTwo(server)
    expect([first.client.transport, second.client.transport]).toEqual(['websocket', 'websocket'])
    expect(socket.pending).toEqual([])
    expect(server.pendingHandshakes).toBe(1)

    await first.client.unsubscribe('news')
    socket.send(message('news', '2'))
    expect(await second.news.next()).toBe('2')
    expect(first.news.pending).toEqual([])
    await second.client.unsubscribe('news')
    expect(await socket.next()).toEqual({ __type: 'unsubscribe', channel: 'news' })
  })

  it('continue after the last message when another tab takes over', async () => {
    stubBrowser()
    const server = await scriptedServer()
    const { first, second } = await openTwo(server)
    const statuses = hear(second.client, 'status')
    const socket = await takeOver(server, first.client)
    const messages = [
      ['2', 'p2'],
      ['3', 'p3'],
    ]
    const answer = { position: 'p3', recovered: true, messages }
    expect(await socket.confirm('news', answer)).toMatchObject({ position: 'p1' })
    socket.send(message('news', '4'))
    expect(await second.news.take(3)).toEqual(['2', '3', '4'])
    expect(second.gaps.pending).toEqual([])
    expect(statuses.pending.map(([{ to }]) => to)).toEqual(['connected'])
  })

  it('continue where they subscribed, if there was no message since', async () => {
    stubBrowser()
    const server = await scriptedServer()
    const first = await openTab(server)
    await (await server.accept()).confirm('news', { position: 'p0' })
    await first.subscription.ready
    const second = await openTab(server)
    await second.subscription.ready
    const socket = await takeOver(server, first.client)
    const answer = { position: 'p1', recovered: true, messages: [['1', 'p1']] }
    expect(await socket.confirm('news', answer)).toMatchObject({ position: 'p0' })
    expect(await second.news.next()).toBe('1')
  })

  it('have a gap if the server has one', async () => {
    stubBrowser()
    const server = await scriptedServer()
    const { first, second } = await openTwo(server)
    const socket = await takeOver(server, first.client)
    await socket.confirm('news', { position: 'p8', recovered: false, reason: 'overflow' })
    socket.send(message('news', '9'))
    expect(await second.news.next()).toBe('9')
    expect(second.gaps.pending).toMatchObject([[{ channel: 'news', reason: 'overflow' }]])
  })

  it('continue when the connection of the leader was lost', async () => {
    stubBrowser()
    withoutWaiting()
    const server = await scriptedServer()
    const { first, second, socket } = await openTwo(server)
    socket.cut()
    const next = await server.accept()
    const answer = { position: 'p2', recovered: true, messages: [['2', 'p2']] }
    expect(await next.confirm('news', answer)).toMatchObject({ position: 'p1' })
    expect([await first.news.next(), await second.news.next()]).toEqual(['2', '2'])
    expect([...first.gaps.pending, ...second.gaps.pending]).toEqual([])
  })

  describe('if one of them was away', () => {
    /** The second tab is away during message 2, and back. */
    async function comeBack() {
      stubBrowser()
      const server = await scriptedServer()
      const first = await openTab(server)
      const socket = await server.accept()
      await socket.confirm('news', { position: 'p0' })
      await first.subscription.ready
      const dispatch = stubPage()
      const second = await openTab(server)
      await second.subscription.ready
      socket.send(message('news', '1'))
      expect([await first.news.next(), await second.news.next()]).toEqual(['1', '1'])
      dispatch('pagehide')
      socket.send(message('news', '2'))
      expect(await first.news.next()).toBe('2')
      expect(second.news.pending).toEqual([])
      dispatch('pageshow', { persisted: true })
      // The leader asks the server for what that tab has missed.
      expect(await socket.next()).toEqual({ __type: 'unsubscribe', channel: 'news' })
      socket.send({ __type: 'unsubscribeOk', channel: 'news' })
      return { first, second, socket }
    }

    it('the server replays what it has missed, and the others get nothing twice', async () => {
      const { first, second, socket } = await comeBack()
      const messages = [
        ['2', 'p2'],
        ['3', 'p3'],
      ]
      const answer = { position: 'p3', recovered: true, messages }
      expect(await socket.confirm('news', answer)).toMatchObject({ position: 'p1' })
      socket.send(message('news', '4'))
      expect(await second.news.take(3)).toEqual(['2', '3', '4'])
      expect(await first.news.take(2)).toEqual(['3', '4'])
      expect([...first.gaps.pending, ...second.gaps.pending]).toEqual([])
    })

    it('for too long, only that tab has a gap', async () => {
      const { first, second, socket } = await comeBack()
      await socket.confirm('news', { position: 'p3', recovered: false, reason: 'expired' })
      await socket.next('unsubscribe')
      socket.send({ __type: 'unsubscribeOk', channel: 'news' })
      const answer = { position: 'p3', recovered: true, messages: [['3', 'p3']] }
      expect(await socket.confirm('news', answer)).toMatchObject({ position: 'p2' })
      expect(await first.news.next()).toBe('3')
      expect(await second.news.next()).toBe('3')
      expect(first.gaps.pending).toEqual([])
      expect(second.gaps.pending).toMatchObject([[{ reason: 'expired' }]])
    })
  })

  describe('older messages', () => {
    const older = [
      ['a', 'pa'],
      ['b', 'pb'],
      ['1', 'p1'],
    ]

    it('are requested from the server for the tab that wants them', async () => {
      stubBrowser()
      const server = await scriptedServer()
      const { first, second, socket } = await openTwo(server)
      const news = collect()
      second.client.subscribe('news', news, { replay: 2 })
      const request = await socket.confirm('news', { position: 'p1', recovered: true, history: older })
      expect(request).toMatchObject({ position: 'p1', history: 2 })
      socket.send(message('news', '2'))
      expect(await news.take(3)).toEqual(['b', '1', '2'])
      expect([await first.news.next(), await second.news.next()]).toEqual(['2', '2'])
      expect([...first.news.pending, ...second.news.pending, ...second.gaps.pending]).toEqual([])
    })

    it('come to a tab that is new, too', async () => {
      stubBrowser()
      const server = await scriptedServer()
      const { first, socket } = await openTwo(server)
      const third = makeClient(server.url, alice)
      const news = collect()
      third.subscribe('news', news, { replay: 5 })
      await socket.confirm('news', { position: 'p1', recovered: true, history: older })
      socket.send(message('news', '2'))
      expect(await news.take(4)).toEqual(['a', 'b', '1', '2'])
      expect(await first.news.next()).toBe('2')
    })

    it('are none if the server has none, or does not know of them', async () => {
      stubBrowser()
      const server = await scriptedServer()
      const { second, socket } = await openTwo(server)
      for (const [body, answer] of [
        ['2', { recovered: true, history: [] }],
        ['3', { recovered: true }],
      ] as const) {
        const news = collect()
        const stop = second.client.subscribe('news', news, { replay: 2 })
        await socket.confirm('news', { position: 'p1', ...answer })
        socket.send(message('news', body))
        expect(await news.next()).toBe(body)
        stop()
      }
    })

    it('do not hide a gap', async () => {
      stubBrowser()
      const server = await scriptedServer()
      const { first, second, socket } = await openTwo(server)
      const news = collect()
      second.client.subscribe('news', news, { replay: 2 })
      await socket.confirm('news', { position: 'p8', recovered: false, reason: 'broker', history: older })
      socket.send(message('news', '9'))
      expect(await news.next()).toBe('9')
      for (const tab of [first, second]) {
        expect(await tab.news.next()).toBe('9')
        expect(tab.gaps.pending).toMatchObject([[{ reason: 'broker' }]])
      }
    })
  })

  it('all learn that the server refuses a channel, or takes it away', async () => {
    stubBrowser()
    const server = await scriptedServer()
    const { first, second, socket } = await openTwo(server)
    const refused = second.client.subscribe('secret', () => {})
    await socket.next('subscribe')
    socket.send({ __type: 'subscribeError', channel: 'secret', reason: 'Channel refused' })
    const reason = "Channel 'secret': Channel refused"
    await expect(refused.ready).rejects.toMatchObject({ code: 'refused', message: reason })

    socket.send({ __type: 'unsubscribed', channel: 'news', reason: 'Taken away' })
    await until('the end', () =>
      [first, second].every(({ subscription }) => subscription.status === 'refused'),
    )
    expect(second.subscription.error).toMatchObject({ code: 'unsubscribed' })
  })

  it('are all refused if the credentials are refused, each by its own attempt', async () => {
    stubBrowser()
    const server = await scriptedServer()
    const [first, second] = [await openTab(server), await openTab(server)]
    for (const { client } of [first, second]) {
      const socket = await server.socket()
      await socket.next('auth')
      socket.send({ __type: 'authError', reason: 'Expired' })
      await reaches(client, 'disconnected')
      expect(client.error).toMatchObject({ code: 'unauthorized', message: 'Expired' })
    }
  })

  it('are all disconnected if the server disconnects the user', async () => {
    stubBrowser()
    const server = await scriptedServer()
    const { first, second, socket } = await openTwo(server)
    socket.close(4403)
    await Promise.all([reaches(first.client, 'disconnected'), reaches(second.client, 'disconnected')])
    expect(second.client.error).toMatchObject({ code: 'disconnected' })
  })
})

describe('tabs do not share a connection', () => {
  const key = ({ user }: { user?: unknown }) => user as string
  const pairs: [string, Partial<ClientOptions>, Partial<ClientOptions>][] = [
    ['of different users', {}, { auth: { user: 'bob' } }],
    [
      'of different users by `key`',
      { shareTabs: shareTabs({ key }) },
      { auth: { user: 'b' }, shareTabs: shareTabs({ key }) },
    ],
    ['if they send no credentials and have no key', { auth: {} }, { auth: {} }],
    [
      'if the key is empty',
      { shareTabs: shareTabs({ key: () => '' }) },
      { shareTabs: shareTabs({ key: () => '' }) },
    ],
    ['if one of them does not want to', {}, { shareTabs: false }],
  ]

  it.each(pairs)('%s', async (_what, one, other) => {
    stubBrowser()
    const server = await scriptedServer()
    for (const options of [one, other]) {
      const client = makeClient(server.url, { ...alice, ...options })
      void client.connect()
      await server.accept()
      await reaches(client, 'connected')
    }
  })

  it('of different URLs', async () => {
    stubBrowser()
    for (const server of [await scriptedServer(), await scriptedServer()]) {
      void openTab(server)
      await server.accept()
    }
  })

  it('after the user has changed: the others continue without that tab', async () => {
    stubBrowser()
    withoutWaiting()
    const server = await scriptedServer()
    let user = 'alice'
    const first = await openTab(server, { ...alice, auth: () => ({ user }) })
    const socket = await server.accept()
    await socket.confirm('news', { position: 'p0' })
    const second = await openTab(server)
    await second.subscription.ready
    user = 'bob'
    socket.cut()
    const sockets = [await server.accept(), await server.accept()]
    const users = sockets.map(({ auth }) => auth['user'])
    expect(users.toSorted()).toEqual(['alice', 'bob'])
    for (const [index, each] of sockets.entries()) {
      await each.confirm('news', { position: 'p0', recovered: true, messages: [] })
      each.send(message('news', users[index]))
    }
    expect([await first.news.next(), await second.news.next()]).toEqual(['bob', 'alice'])
  })
})

it('tabs with a key share, though their credentials differ', async () => {
  stubBrowser()
  const server = await scriptedServer()
  const options = { ...alice, shareTabs: shareTabs({ key: () => 'alice' }) }
  let token = 0
  const auth = () => ({ token: ++token })
  const first = await openTab(server, { ...options, auth })
  const socket = await server.accept()
  expect(socket.auth).toMatchObject({ token: 1 })
  await socket.confirm('news')
  const second = await openTab(server, { ...options, auth })
  await Promise.all([first.subscription.ready, second.subscription.ready])
  expect(server.pendingHandshakes).toBe(1)
})

describe('each tab has its own connection', () => {
  it('where the platform has no locks', async () => {
    const server = await scriptedServer('refuse')
    const client = makeClient(server.url, { ...alice, mode: 'auto' })
    void client.connect()
    await server.acceptSession('one')
    await reaches(client, 'connected')
    expect(client.transport).toBe('longpoll')
  })

  it('where the platform refuses locks to this page', async () => {
    stubBrowser({ request: () => Promise.reject(new DOMException('denied', 'SecurityError')) })
    withoutWaiting()
    const server = await scriptedServer()
    const client = makeClient(server.url, alice)
    void client.connect()
    await server.accept()
    await reaches(client, 'connected')
  })
})

if (isDevelopment) {
  it('an option that is not shareTabs() is an error', () => {
    // JavaScript, or an older example.
    const options = { ...alice, shareTabs: true as never }
    expect(() => makeClient('/broadcast', options)).toThrow(
      /^BroadcasterClient: shareTabs should be shareTabs\(\)/,
    )
    expect(() => shareTabs({ key: 'alice' as never })).toThrow('key should be a function')
  })
}
