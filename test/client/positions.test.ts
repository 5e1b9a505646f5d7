import { describe, expect, it } from 'vitest'
import { withoutWaiting } from './fakeTime.ts'
import { collect, connectWebSocket, hear } from './scriptedServer.ts'
import type { ScriptedServer, ScriptedSocket } from './scriptedServer.ts'

const message = (body: string, position?: string) => ({
  __type: 'message',
  channel: 'news',
  body,
  ...(position && { position }),
})

/** A client that has received the channel up to position p1, and its next connection. */
async function comeBack(authOk: object = { __v: 1 }) {
  withoutWaiting()
  const { server, client, socket } = await connectWebSocket({}, authOk)
  const news = collect()
  const gaps = hear(client, 'gap')
  const gapsOfSubscription: unknown[] = []
  const subscription = client.subscribe('news', news, { onGap: (gap) => gapsOfSubscription.push(gap) })
  await socket.confirm('news', authOk === NO_ADDITIONS ? {} : { position: 'p0' })
  socket.send(message('a', authOk === NO_ADDITIONS ? undefined : 'p1'))
  expect(await news.next()).toBe('a')
  socket.cut()
  const next = await server.accept(authOk)
  const request = await next.next('subscribe')
  const answer = (fields: object) => next.send({ __type: 'subscribeOk', channel: 'news', ...fields })
  return { server, client, socket: next, news, gaps, gapsOfSubscription, subscription, request, answer }
}

/** The server of the original protocol, and the server of this kit with recovery turned off. */
const NO_ADDITIONS = {}

/** The request of the client after another reconnection. */
async function positionAfterwards(server: ScriptedServer, socket: ScriptedSocket) {
  socket.cut()
  return (await (await server.accept()).next('subscribe'))['position']
}

describe('after a reconnection', () => {
  it('the client asks for the messages after its last one', async () => {
    const { request } = await comeBack()
    expect(request).toEqual({ __type: 'subscribe', channel: 'news', position: 'p1' })
  })

  it('R1 the position is the one of the subscription if no message has arrived', async () => {
    withoutWaiting()
    const { server, client, socket } = await connectWebSocket()
    const { ready } = client.subscribe('news', () => {})
    await socket.confirm('news', { position: 'p0' })
    await ready
    expect(await positionAfterwards(server, socket)).toBe('p0')
  })

  it('R3 the replay is delivered in order, before live messages, and without a gap', async () => {
    const { server, socket, news, gaps, subscription, answer } = await comeBack()
    answer({
      position: 'p4',
      recovered: true,
      messages: [
        ['b', 'p2'],
        ['c', 'p3'],
      ],
    })
    socket.send(message('d', 'p5'))
    expect(await news.take(3)).toEqual(['b', 'c', 'd'])
    await subscription.ready
    expect(gaps.pending).toEqual([])
    expect(await positionAfterwards(server, socket)).toBe('p5')
  })

  it('R3 no other message is delivered between the messages of a replay', async () => {
    const { client, news, answer } = await comeBack()
    const turns: number[] = []
    let turn = 0
    client.subscribe('news', () => {
      turns.push(turn)
      void Promise.resolve().then(() => turn++)
    })
    const messages = Array.from({ length: 100 }, (_, index) => [`${index}`, `p${index + 2}`])
    answer({ position: 'p101', recovered: true, messages })
    expect(await news.take(100)).toEqual(messages.map(([body]) => body))
    expect(new Set(turns)).toEqual(new Set([0]))
  })

  it('no message is replayed twice, because a replay advances the position', async () => {
    const { server, socket, news, answer } = await comeBack()
    answer({ position: 'p4', recovered: true, messages: [['b', 'p2']] })
    expect(await news.next()).toBe('b')
    expect(await positionAfterwards(server, socket)).toBe('p4')
  })

  it('R3 there is a gap when the server could not recover, and the channel continues after it', async () => {
    const { server, socket, news, gaps, gapsOfSubscription, answer } = await comeBack()
    answer({ position: 'p9', recovered: false, reason: 'expired' })
    socket.send(message('x', 'p10'))
    expect(await news.next()).toBe('x')
    const gap = { channel: 'news', reason: 'expired', position: 'p9' }
    expect(gaps.pending).toEqual([[gap]])
    expect(gapsOfSubscription).toEqual([gap])
    expect(await positionAfterwards(server, socket)).toBe('p10')
  })

  it('R4 a gap between messages is reported in order', async () => {
    const { server, client, socket, answer } = await comeBack()
    const order: string[] = []
    client.subscribe('news', (body) => order.push(body), {
      onGap: ({ reason }) => order.push(`gap: ${reason}`),
    })
    answer({ position: 'p1', recovered: true, messages: [] })
    socket.send(message('b', 'p2'), { __type: 'gap', channel: 'news', position: 'p7', reason: 'overflow' })
    const end = collect()
    client.subscribe('end', end)
    await socket.confirm('end')
    socket.send({ __type: 'message', channel: 'end', body: '' })
    await end.next()
    expect(order).toEqual(['b', 'gap: overflow'])
    expect(await positionAfterwards(server, socket)).toBe('p7')
  })

  it('when an onGap throws, the others are still called', async () => {
    const { client, socket, news, gaps, answer } = await comeBack()
    const errors = hear(client, 'error')
    client.subscribe('news', () => {}, {
      onGap: () => {
        throw new Error('refetch failed')
      },
    })
    answer({ position: 'p9', recovered: false, reason: 'node' })
    socket.send(message('x', 'p10'))
    expect(await news.next()).toBe('x')
    expect(gaps.pending).toHaveLength(1)
    expect(errors.pending).toMatchObject([[{ code: 'handler' }]])
  })

  it('the replay stops when a handler disconnects, and the next connection delivers the rest', async () => {
    const { server, client, news, answer } = await comeBack()
    const stop = client.on('message', (_channel, body) => {
      if (body === 'b') void client.disconnect()
    })
    answer({
      position: 'p3',
      recovered: true,
      messages: [
        ['b', 'p2'],
        ['c', 'p3'],
      ],
    })
    expect(await news.next()).toBe('b')
    stop()
    void client.connect()
    const socket = await server.accept()
    expect(await socket.next('subscribe')).toMatchObject({ position: 'p2' })
    expect(news.pending).toEqual([])
  })

  it('messages that overtake the answer are held until the answer has arrived', async () => {
    const { server, socket, news, answer } = await comeBack()
    socket.send(message('c', 'p3'))
    answer({ position: 'p2', recovered: true, messages: [['b', 'p2']] })
    socket.send(message('d', 'p4'))
    expect(await news.take(3)).toEqual(['b', 'c', 'd'])
    expect(await positionAfterwards(server, socket)).toBe('p4')
  })

  it('held messages are discarded when the connection is lost before the answer, and are replayed', async () => {
    const { server, socket, news } = await comeBack()
    socket.send(message('b', 'p2'))
    socket.cut()
    const next = await server.accept()
    expect(await next.next('subscribe')).toMatchObject({ position: 'p1' })
    next.send({
      __type: 'subscribeOk',
      channel: 'news',
      position: 'p2',
      recovered: true,
      messages: [['b', 'p2']],
    })
    next.send(message('c', 'p3'))
    expect(await news.take(2)).toEqual(['b', 'c'])
  })
})

describe('a subscription that begins after another one has ended does not continue it', () => {
  const recovered = { position: 'p3', recovered: true, messages: [['b', 'p2']] }

  it('if the answer for the other one comes later', async () => {
    const { client, socket, news, gaps, answer } = await comeBack()
    const ended = client.unsubscribe('news')
    const later = collect()
    const { ready } = client.subscribe('news', later)
    await ended
    answer(recovered)
    socket.send(message('c', 'p4'))
    expect(await socket.next('unsubscribe')).toEqual({ __type: 'unsubscribe', channel: 'news' })
    socket.send({ __type: 'unsubscribeOk', channel: 'news' })
    expect(await socket.confirm('news', { position: 'p9' })).toEqual({ __type: 'subscribe', channel: 'news' })
    await ready
    socket.send(message('d', 'p10'))
    expect(await later.next()).toBe('d')
    expect([news.pending, later.pending, gaps.pending]).toEqual([[], [], []])
  })

  it('if the request for the other one fails, which is not repeated', async () => {
    const { client, socket } = await comeBack()
    void client.unsubscribe('news').catch(() => {})
    client.subscribe('news', () => {})
    socket.send({ __type: 'serverError', channel: 'news', reason: 'busy' })
    await socket.next('unsubscribe')
    socket.send({ __type: 'unsubscribeOk', channel: 'news' })
    expect(await socket.next('subscribe')).toEqual({ __type: 'subscribe', channel: 'news' })
  })

  it('and is not subscribed from the start, while the credentials are renewed', async () => {
    const { server, client, socket, subscription, answer } = await comeBack()
    answer({ position: 'p1', recovered: true })
    await subscription.ready
    socket.close(4411)
    const next = await server.accept()
    await next.next('subscribe')
    expect(subscription.status).toBe('subscribed')
    void client.unsubscribe('news').catch(() => {})
    expect(client.subscribe('news', () => {}).status).toBe('subscribing')
  })

  it('if the connection is lost before the answer for the other one', async () => {
    const { server, client, socket } = await comeBack()
    void client.unsubscribe('news').catch(() => {})
    client.subscribe('news', () => {})
    expect(await positionAfterwards(server, socket)).toBeUndefined()
  })
})

describe('V1 a server without the additions', () => {
  it('gets base messages only, and every channel that was subscribed before has a gap', async () => {
    const { socket, news, gaps, request, answer } = await comeBack(NO_ADDITIONS)
    expect(request).toEqual({ __type: 'subscribe', channel: 'news' })
    answer({})
    socket.send(message('x'))
    expect(await news.next()).toBe('x')
    expect(gaps.pending).toEqual([[{ channel: 'news', reason: 'node' }]])
  })

  it('causes no gap for a channel that was never subscribed before', async () => {
    const { client, socket, gaps } = await comeBack(NO_ADDITIONS)
    const { ready } = client.subscribe('sport', () => {})
    await socket.confirm('sport')
    await ready
    expect(gaps.pending).toEqual([])
  })

  it('gets no position of another server', async () => {
    withoutWaiting()
    const { server, client, socket } = await connectWebSocket()
    const { ready } = client.subscribe('news', () => {})
    await socket.confirm('news', { position: 'p0' })
    await ready
    socket.cut()
    const next = await server.accept({})
    expect(await next.next('subscribe')).toEqual({ __type: 'subscribe', channel: 'news' })
  })

  it.each([
    ['subscribeOk', undefined],
    ['message', message('b')],
  ])('R1 clears the position with its %s: the next server gets none', async (_, live) => {
    withoutWaiting()
    const { server, client, socket } = await connectWebSocket()
    const gaps = hear(client, 'gap')
    const news = collect()
    const subscription = client.subscribe('news', news)
    await socket.confirm('news', { position: 'p0' })
    await subscription.ready
    socket.cut()
    const base = await server.accept({})
    // A message has no position of its own to clear, unless the answer before it had one.
    await base.confirm('news', live ? { position: 'p1' } : {})
    await gaps.take('a gap')
    if (live) {
      base.send(live)
      expect(await news.next()).toBe('b')
    }
    base.cut()
    const next = await server.accept()
    expect(await next.confirm('news', { position: 'p5' })).toEqual({ __type: 'subscribe', channel: 'news' })
    expect(await gaps.take('a gap')).toEqual([{ channel: 'news', reason: 'node', position: 'p5' }])
  })

  it('that has the additions after a restart causes a gap too', async () => {
    withoutWaiting()
    const { server, client, socket } = await connectWebSocket({}, {})
    const gaps = hear(client, 'gap')
    const { ready } = client.subscribe('news', () => {})
    await socket.confirm('news')
    await ready
    socket.cut()
    const next = await server.accept()
    expect(await next.confirm('news', { position: 'p5' })).toEqual({ __type: 'subscribe', channel: 'news' })
    expect(await gaps.take('a gap')).toEqual([{ channel: 'news', reason: 'node', position: 'p5' }])
  })
})
