import { describe, expect, it, vi } from 'vitest'
import { aPause, fakePage, LONGEST, stopTime, withoutWaiting } from './fakeTime.ts'
import { message, pollOf, subscribeNews } from './pollingClient.ts'
import {
  collect,
  connectLongPoll,
  hear,
  makeClient,
  reaches,
  scriptedServer,
  until,
} from './scriptedServer.ts'
import type { ScriptedRequest } from './scriptedServer.ts'

describe('long-poll', () => {
  it('authenticates, subscribes and polls, each with the session’s token', async () => {
    const { server, client, auth } = await connectLongPoll({ auth: { token: 'x' } })
    expect(auth).toMatchObject({ __type: 'auth', token: 'x', __v: 1, __generation: 1 })
    expect(client.transport).toBe('longpoll')
    const poll = await server.request()
    expect(poll.message).toEqual({ __type: 'poll', seq: '0', positions: {}, __token: 'one' })
    const news = collect()
    client.subscribe('news', news)
    expect(await server.confirm('news', { position: 'p0' })).toEqual({
      __type: 'subscribe',
      channel: 'news',
      __token: 'one',
    })
    poll.answer(message('hello', 'p1'))
    expect(await news.next()).toBe('hello')
    expect((await server.request()).message).toEqual({
      __type: 'poll',
      seq: '1',
      positions: { news: 'p1' },
      __token: 'one',
    })
    const unsubscribed = client.unsubscribe('news')
    const request = await server.request()
    expect(request.message).toEqual({ __type: 'unsubscribe', channel: 'news', __token: 'one' })
    request.answer({ __type: 'unsubscribeOk', channel: 'news' })
    await unsubscribed
  })

  it('has one poll at a time', async () => {
    const { server, client, news } = await subscribeNews()
    client.subscribe('sport', () => {})
    await server.confirm('sport')
    const poll = await pollOf(server, '1')
    expect(server.pendingRequests).toEqual([])
    poll.answer(message('a', 'p2'), message('b', 'p3'))
    expect(await news.take(2)).toEqual(['a', 'b'])
    await pollOf(server, '2')
    expect(server.pendingRequests).toEqual([])
  })

  it('sends no positions to a server without the additions', async () => {
    const { server } = await subscribeNews({})
    expect((await server.request()).message).toEqual({ __type: 'poll', seq: '1', __token: 'one' })
  })

  it('tells a refused channel, a failing server and a message of an unknown type as a WebSocket does', async () => {
    const { server, client, news } = await subscribeNews()
    const secret = client.subscribe('secret', () => {})
    ;(await server.request('subscribe')).answer({
      __type: 'subscribeError',
      channel: 'secret',
      reason: 'Channel refused',
    })
    await expect(secret.ready).rejects.toMatchObject({ code: 'refused' })
    const poll = await server.request('poll')
    poll.answerWith(200, JSON.stringify([null, 7, { __type: 'unknown' }, message('a', 'p2')]))
    expect(await news.next()).toBe('a')
  })

  it('disconnect() gives the poll up', async () => {
    const { server, client } = await subscribeNews()
    const poll = await server.request('poll')
    await client.disconnect()
    await poll.gone()
    expect(server.pendingRequests).toEqual([])
  })

  it('does not poll without end when its polls are answered at once with nothing', async () => {
    stopTime()
    const { server } = await connectLongPoll()
    ;(await server.request('poll')).answer()
    await aPause()
    vi.advanceTimersByTime(498)
    expect(server.pendingRequests).toEqual([])
    vi.advanceTimersByTime(1)
    await pollOf(server, '1')
  })
})

describe('an answer that gets lost', () => {
  it('is asked for again with the same seq, and nobody is told', async () => {
    withoutWaiting()
    const { server, client, news } = await subscribeNews()
    const changes = hear(client, 'status')
    ;(await pollOf(server, '1')).drop()
    const again = await pollOf(server, '1')
    expect(again.message['positions']).toEqual({ news: 'p1' })
    again.answer(message('a', 'p2'))
    expect(await news.next()).toBe('a')
    await pollOf(server, '2')
    expect(changes.pending).toEqual([])
  })

  const failures: [string, (request: ScriptedRequest) => void][] = [
    ['a lost connection', (request) => request.drop()],
    ['a 502 of a proxy', (request) => request.answerWith(502, '<h1>Bad Gateway</h1>')],
    [
      'a 503 of the server',
      (request) => request.refuse(503, { __type: 'serverError', reason: 'Broker unavailable' }),
    ],
    ['a page of a captive portal', (request) => request.answerWith(200, '<html>Accept our terms</html>')],
    ['JSON that is no array', (request) => request.answerWith(200, '{"login":"https://portal"}')],
  ]
  it.each(failures)('again and again, by %s, is reconnecting with the same session', async (_what, fail) => {
    withoutWaiting()
    const { server, client, news, subscription } = await subscribeNews()
    fail(await pollOf(server, '1'))
    fail(await pollOf(server, '1'))
    await reaches(client, 'reconnecting')
    expect(client.getSnapshot()).toMatchObject({ transport: null, attempt: 2, error: { code: 'connection' } })
    expect(subscription.status).toBe('subscribed')
    fail(await pollOf(server, '1'))
    const poll = await pollOf(server, '1')
    expect(poll.message['__token']).toBe('one')
    poll.answer(message('a', 'p2'))
    expect(await news.next()).toBe('a')
    expect(client.getSnapshot()).toMatchObject({
      status: 'connected',
      transport: 'longpoll',
      attempt: 0,
      error: null,
    })
    // What is over is forgotten: the next one is the first again, and nobody is told.
    const changes = hear(client, 'status')
    fail(await pollOf(server, '2'))
    await pollOf(server, '2')
    expect(changes.pending).toEqual([])
  })

  it('is waited for as long as the server may take, and ten seconds more', async () => {
    stopTime()
    const { server, client } = await connectLongPoll({ timeout: 20_000 })
    const news = collect()
    const { ready } = client.subscribe('news', news)
    await server.confirm('news', { position: 'p0' })
    await ready
    const first = await pollOf(server, '0')
    vi.advanceTimersByTime(29_999)
    first.answer(message('a', 'p1'))
    expect(await news.next()).toBe('a')
    const second = await pollOf(server, '1')
    vi.advanceTimersByTime(30_000)
    await second.gone()
    await aPause()
    vi.advanceTimersByTime(499)
    await pollOf(server, '1')
  })

  it('is asked for after a growing while', async () => {
    const { server, client } = await subscribeNews()
    stopTime(LONGEST)
    const waited: number[] = []
    const changes = hear(client, 'status')
    ;(await pollOf(server, '1')).drop()
    await aPause()
    vi.advanceTimersByTime(499)
    for (let failure = 2; failure <= 4; failure++) {
      ;(await pollOf(server, '1')).drop()
      const [{ retryInMs }] = await changes.take('a wait')
      waited.push(retryInMs)
      vi.advanceTimersByTime(retryInMs)
    }
    expect(waited).toEqual([999, 1999, 3999])
  })

  it('is given up after maxAttempts in a row', async () => {
    withoutWaiting()
    const { server, client } = await connectLongPoll({ maxAttempts: 2 })
    for (let failure = 0; failure < 3; failure++) (await pollOf(server, '0')).drop()
    await reaches(client, 'disconnected')
    expect(client.error).toMatchObject({ code: 'maxAttempts', cause: { code: 'connection' } })
    expect(server.pendingRequests).toEqual([])
  })

  it('is asked for at once when the network is back', async () => {
    const page = fakePage()
    const { server, client } = await subscribeNews()
    stopTime()
    ;(await pollOf(server, '1')).drop()
    await aPause()
    page.goOnline()
    ;(await pollOf(server, '1')).drop()
    await reaches(client, 'reconnecting')
    void client.connect()
    await pollOf(server, '1')
  })
})

describe('a poll that may be dead', () => {
  it('is sent anew when the page is seen again, which is no failure', async () => {
    const page = fakePage()
    const { server, client, news } = await subscribeNews()
    const changes = hear(client, 'status')
    // However often: failures would be told from the second one on.
    for (let time = 0; time < 3; time++) {
      const poll = await pollOf(server, '1')
      page.become('visible')
      await poll.gone()
    }
    ;(await pollOf(server, '1')).answer(message('a', 'p2'))
    expect(await news.next()).toBe('a')
    expect(changes.pending).toEqual([])
  })

  it('is left alone where the server would lose its messages with it', async () => {
    const page = fakePage()
    const { server, news } = await subscribeNews({})
    const poll = await pollOf(server, '1')
    page.become('visible')
    poll.answer(message('a'))
    expect(await news.next()).toBe('a')
  })
})

describe('a session that has expired', () => {
  it('is followed by a new one, which continues from the positions', async () => {
    withoutWaiting()
    const { server, client, news, subscription } = await subscribeNews()
    const gaps = hear(client, 'gap')
    ;(await pollOf(server, '1')).refuse(401, { __type: 'authError', reason: 'Auth expected' })
    expect(await server.acceptSession('two')).toMatchObject({ __generation: 2, __previous: 'one' })
    const request = await server.confirm('news', {
      position: 'p2',
      recovered: true,
      messages: [['missed', 'p2']],
    })
    expect(request).toMatchObject({ position: 'p1', __token: 'two' })
    expect(await news.next()).toBe('missed')
    await subscription.ready
    expect(gaps.pending).toEqual([])
    expect(client.status).toBe('connected')
  })

  it('may be found out by a subscription', async () => {
    withoutWaiting()
    const { server, client } = await subscribeNews()
    client.subscribe('sport', () => {})
    const poll = await server.request('poll')
    ;(await server.request('subscribe')).refuse(401, { __type: 'authError', reason: 'Auth expected' })
    await poll.gone()
    await server.acceptSession('two')
    await server.confirm('sport')
  })

  it('and credentials that are refused then are final', async () => {
    withoutWaiting()
    const { server, client } = await subscribeNews()
    ;(await server.request('poll')).refuse(401, { __type: 'authError', reason: 'Auth expected' })
    ;(await server.request('auth')).refuse(401, { __type: 'authError', reason: 'Unauthorized' })
    await reaches(client, 'disconnected')
    expect(client.error).toMatchObject({ code: 'unauthorized', message: 'Unauthorized' })
  })
})

describe('auth', () => {
  it.each([
    [401, JSON.stringify([{ __type: 'authError', reason: 'Unauthorized' }]), 'Unauthorized'],
    [401, 'Please log in', 'The server answered 401'],
    [403, '<h1>Forbidden</h1>', 'The server answered 403'],
  ])('answered %d %s is final', async (status, text, words) => {
    const server = await scriptedServer()
    const client = makeClient(server.url, { mode: 'longpoll' })
    const connected = client.connect()
    ;(await server.request('auth')).answerWith(status, text)
    await expect(connected).rejects.toMatchObject({ code: 'unauthorized', message: words })
    expect(client.status).toBe('disconnected')
  })

  it.each([
    [
      503,
      JSON.stringify([{ __type: 'serverError', reason: 'Draining' }]),
      'The server answered 503 Draining',
    ],
    [200, '<html>', 'The server answered 200 not with messages'],
    [200, '[]', 'The answer to auth has no session token'],
    [404, 'Cannot POST /broadcast', 'The server answered 404'],
  ])('answered %d %s is tried again', async (status, text, words) => {
    withoutWaiting()
    const server = await scriptedServer()
    const client = makeClient(server.url, { mode: 'longpoll' })
    const changes = hear(client, 'status')
    const connected = client.connect()
    ;(await server.request('auth')).answerWith(status, text)
    const [{ error }] = await changes.take('a failure', ([{ to }]) => to === 'reconnecting')
    expect(error).toMatchObject({ code: 'connection', message: words })
    await server.acceptSession('one')
    await connected
  })

  it('that is not answered is given up after `timeout`', async () => {
    const server = await scriptedServer()
    stopTime()
    const client = makeClient(server.url, { mode: 'longpoll', timeout: 3_000 })
    void client.connect()
    const request = await server.request('auth')
    vi.advanceTimersByTime(3_000)
    await request.gone()
    await reaches(client, 'reconnecting')
    expect(client.error).toMatchObject({
      code: 'timeout',
      message: 'The server did not answer within 3000 ms',
    })
  })
})

describe('an answer that comes after disconnect(), through a fetch that can’t be aborted', () => {
  it('changes nothing', async () => {
    const answers: ((messages: unknown[]) => void)[] = []
    const fetch = async () => ({
      status: 200,
      text: () =>
        new Promise<string>((resolve) => answers.push((messages) => resolve(JSON.stringify(messages)))),
    })
    const client = makeClient('http://127.0.0.1:1/', { mode: 'longpoll', fetch })
    const changes = hear(client, 'status')
    void client.connect()
    await until('the request', () => answers.length === 1)
    await client.disconnect()
    answers[0]!([{ __type: 'authOk', __token: 'one', __v: 1 }])
    await new Promise((resolve) => setImmediate(resolve))
    expect(client.status).toBe('disconnected')
    expect(changes.pending.map(([{ to }]) => to)).toEqual(['connecting', 'disconnected'])
    expect(answers).toHaveLength(1)
  })
})
