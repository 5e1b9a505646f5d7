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
import { sentence } from './sentence.ts'

describe('long-poll', () => {
  it('authenticates, subscribes and polls, with the token of the session in each request', async () => {
    const { server, client, auth } = await connectLongPoll({ auth: { token: 'x' } })
    expect(auth).toMatchObject({ __type: 'auth', token: 'x', __v: 2, __generation: 1 })
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

  it('handles a refused channel, a failing server and a message of an unknown type like a WebSocket', async () => {
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

  it('disconnect() aborts the poll', async () => {
    const { server, client } = await subscribeNews()
    const poll = await server.request('poll')
    await client.disconnect()
    await poll.gone()
    expect(server.pendingRequests).toEqual([])
  })

  it('does not poll in a busy loop when polls get empty answers at once', async () => {
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

describe('an answer with a message that can not be read', () => {
  it('ends the session, and the client connects again', async () => {
    withoutWaiting()
    const { server, client } = await connectLongPoll()
    client.subscribe('news', () => {})
    await server.request('subscribe')
    const poll = await server.request('poll')
    poll.answer({ __type: 'subscribeOk', channel: 'news', messages: 5 })
    await server.acceptSession('two')
    await server.confirm('news')
    await reaches(client, 'connected')
  })
})

describe('a lost answer', () => {
  it('makes the client send the same seq again, without a status event', async () => {
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
    ['JSON that is not an array', (request) => request.answerWith(200, '{"login":"https://portal"}')],
  ]
  it.each(failures)(
    'several times in a row, by %s, makes the status reconnecting with the same session',
    async (_what, fail) => {
      withoutWaiting()
      const { server, client, news, subscription } = await subscribeNews()
      fail(await pollOf(server, '1'))
      fail(await pollOf(server, '1'))
      await reaches(client, 'reconnecting')
      expect(client.getSnapshot()).toMatchObject({
        transport: null,
        attempt: 2,
        error: { code: 'connection' },
      })
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
      // The count is reset: the next failure is the first again, without a status event.
      const changes = hear(client, 'status')
      fail(await pollOf(server, '2'))
      await pollOf(server, '2')
      expect(changes.pending).toEqual([])
    },
  )

  it('is detected ten seconds after the time limit of the server', async () => {
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

  it('makes the client send the poll again after a growing pause', async () => {
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

  it('makes the client give up after maxAttempts in a row', async () => {
    withoutWaiting()
    const { server, client } = await connectLongPoll({ maxAttempts: 2 })
    for (let failure = 0; failure < 3; failure++) (await pollOf(server, '0')).drop()
    await reaches(client, 'disconnected')
    expect(client.error).toMatchObject({ code: 'maxAttempts', cause: { code: 'connection' } })
    expect(server.pendingRequests).toEqual([])
  })

  it('makes the client send the poll again at once when the network is back', async () => {
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
  it('is sent again when the page is visible again, which counts as no failure', async () => {
    const page = fakePage()
    const { server, client, news } = await subscribeNews()
    const changes = hear(client, 'status')
    // Any number of times. From the second failure on, there would be a status event.
    for (let time = 0; time < 3; time++) {
      const poll = await pollOf(server, '1')
      page.become('visible')
      await poll.gone()
    }
    ;(await pollOf(server, '1')).answer(message('a', 'p2'))
    expect(await news.next()).toBe('a')
    expect(changes.pending).toEqual([])
  })

  it('is not aborted if the server would lose the messages of its answer', async () => {
    const page = fakePage()
    const { server, news } = await subscribeNews({})
    const poll = await pollOf(server, '1')
    page.become('visible')
    poll.answer(message('a'))
    expect(await news.next()).toBe('a')
  })
})

describe('C2 a session that has expired', () => {
  it('is followed by a new session, which continues from the positions', async () => {
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

  it('may be detected by a subscription', async () => {
    withoutWaiting()
    const { server, client } = await subscribeNews()
    client.subscribe('sport', () => {})
    const poll = await server.request('poll')
    ;(await server.request('subscribe')).refuse(401, { __type: 'authError', reason: 'Auth expected' })
    await poll.gone()
    await server.acceptSession('two')
    await server.confirm('sport')
  })

  it('is final if the server then refuses the credentials', async () => {
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
    [401, 'Please log in', 'HTTP 401'],
    [403, '<h1>Forbidden</h1>', 'HTTP 403'],
  ])('answered %d %s is final', async (status, text, words) => {
    const server = await scriptedServer()
    const client = makeClient(server.url, { mode: 'longpoll' })
    const connected = client.connect()
    ;(await server.request('auth')).answerWith(status, text)
    await expect(connected).rejects.toMatchObject({ code: 'unauthorized', message: words })
    expect(client.status).toBe('disconnected')
  })

  it.each([
    [503, JSON.stringify([{ __type: 'serverError', reason: 'Draining' }]), 'HTTP 503 Draining'],
    [200, '<html>', sentence('HTTP 200 without an array of messages')],
    [200, '[]', sentence('The answer to auth has no session token')],
    [404, 'Cannot POST /broadcast', 'HTTP 404'],
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

  it('without an answer is aborted after `timeout`', async () => {
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
      message: sentence('The server did not answer within 3000 ms'),
    })
  })
})

describe('an answer after disconnect(), from a fetch that can not be aborted', () => {
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
