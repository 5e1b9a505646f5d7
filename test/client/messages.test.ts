import { describe, expect, it } from 'vitest'
import { withoutWaiting } from './fakeTime.ts'
import { connectWebSocket, hear, makeClient, scriptedServer } from './scriptedServer.ts'

const message = (body: string) => ({ __type: 'message', channel: 'news', body })

describe('for await (const message of client.messages(...))', () => {
  it('subscribes while it runs, and yields every message in order, even if the loop is slow', async () => {
    const { client, socket } = await connectWebSocket()
    const bodies: string[] = []
    const loop = (async () => {
      for await (const { channel, body, position } of client.messages('news')) {
        bodies.push(`${channel} ${body} ${position}`)
        await new Promise((resolve) => setImmediate(resolve))
        if (bodies.length === 3) break
      }
    })()
    await socket.confirm('news', { position: 'p0' })
    for (const body of ['a', 'b', 'c', 'd']) socket.send({ ...message(body), position: `p ${body}` })
    await loop
    expect(bodies).toEqual(['news a p a', 'news b p b', 'news c p c'])
    expect(await socket.next()).toEqual({ __type: 'unsubscribe', channel: 'news' })
  })

  it('does nothing before it runs, and each loop has its own subscription', async () => {
    const { client, socket } = await connectWebSocket()
    const messages = client.messages('news')
    client.subscribe('marker', () => {})
    expect(await socket.next()).toMatchObject({ channel: 'marker' })
    const [one, two] = [messages[Symbol.asyncIterator](), messages[Symbol.asyncIterator]()]
    await socket.confirm('news')
    socket.send(message('a'))
    expect(await one.next()).toMatchObject({ value: { body: 'a' } })
    expect(await two.next()).toMatchObject({ value: { body: 'a' } })
  })

  it('ends when a listener disconnects while the loop connects, and leaves no subscription', async () => {
    const server = await scriptedServer()
    const client = makeClient(server.url, { mode: 'websocket' })
    const errors = hear(client, 'error')
    const stop = client.on('status', ({ to }) => to === 'connecting' && void client.disconnect())
    const iterator = client.messages('news')[Symbol.asyncIterator]()
    expect(await iterator.next()).toEqual({ value: undefined, done: true })
    expect(errors.pending).toEqual([])
    stop()
    client.subscribe('marker', () => {})
    void client.connect()
    const socket = await server.accept()
    expect(await socket.next()).toEqual({ __type: 'subscribe', channel: 'marker' })
    expect(socket.pending).toEqual([])
  })

  it('continues after a reconnection', async () => {
    withoutWaiting()
    const { server, client, socket } = await connectWebSocket()
    const iterator = client.messages('news')[Symbol.asyncIterator]()
    await socket.confirm('news', { position: 'p0' })
    socket.cut()
    const next = await server.accept()
    await next.confirm('news', { position: 'p1', recovered: true, messages: [['a', 'p1']] })
    expect(await iterator.next()).toMatchObject({ value: { body: 'a' } })
  })

  it('answers several next() in order', async () => {
    const { client, socket } = await connectWebSocket()
    const iterator = client.messages('news')[Symbol.asyncIterator]()
    const both = Promise.all([iterator.next(), iterator.next()])
    await socket.confirm('news')
    socket.send(message('a'), message('b'))
    expect(await both).toMatchObject([{ value: { body: 'a' } }, { value: { body: 'b' } }])
  })

  it('ends with disconnect(), after the messages that had arrived', async () => {
    const { client, socket } = await connectWebSocket()
    const iterator = client.messages('news')[Symbol.asyncIterator]()
    await socket.confirm('news')
    const arrived = new Promise<void>((resolve) => client.once('message', () => resolve()))
    socket.send(message('a'))
    await arrived
    const ends = iterator.next().then(() => iterator.next())
    await client.disconnect()
    expect(await ends).toEqual({ value: undefined, done: true })
    expect(await iterator.next()).toEqual({ value: undefined, done: true })
  })

  it('return() ends a waiting next()', async () => {
    const { client, socket } = await connectWebSocket()
    const iterator = client.messages('news')[Symbol.asyncIterator]()
    await socket.confirm('news')
    const waiting = iterator.next()
    await iterator.return?.()
    expect(await waiting).toEqual({ value: undefined, done: true })
    expect(await socket.next()).toEqual({ __type: 'unsubscribe', channel: 'news' })
  })

  it('return() discards messages that have arrived', async () => {
    const { client, socket } = await connectWebSocket()
    const iterator = client.messages('news')[Symbol.asyncIterator]()
    await socket.confirm('news')
    const arrived = new Promise<void>((resolve) => client.once('message', () => resolve()))
    socket.send(message('a'))
    await arrived
    await iterator.return?.()
    expect(await iterator.next()).toEqual({ value: undefined, done: true })
  })

  it('throws when the channel is refused', async () => {
    const { client, socket } = await connectWebSocket()
    const iterator = client.messages('secret')[Symbol.asyncIterator]()
    const waiting = iterator.next()
    await socket.next('subscribe')
    socket.send({ __type: 'subscribeError', channel: 'secret', reason: 'Channel refused' })
    await expect(waiting).rejects.toMatchObject({ code: 'refused' })
    expect(await iterator.next()).toEqual({ value: undefined, done: true })
  })

  it('throws when the client gives up, before or during the loop', async () => {
    const { client, socket } = await connectWebSocket()
    const waiting = client.messages('news')[Symbol.asyncIterator]().next()
    socket.close(4401, 'Unauthorized')
    await expect(waiting).rejects.toMatchObject({ code: 'unauthorized' })
    const late = client.messages('news')[Symbol.asyncIterator]().next()
    await expect(late).rejects.toMatchObject({ code: 'unauthorized' })
  })
})
