import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { collect, connectWebSocket, hear } from './scriptedServer.ts'

const message = (channel: string, body: string, position?: string) => ({
  __type: 'message',
  channel,
  body,
  ...(position && { position }),
})

describe('events', () => {
  it("'message' is emitted for every channel, 'message:NAME' for one", async () => {
    const { client, socket } = await connectWebSocket()
    const all = hear(client, 'message')
    const news = hear(client, 'message:news')
    client.subscribe('news', () => {})
    client.subscribe('sport', () => {})
    await socket.confirm('news', { position: 'n0' })
    await socket.confirm('sport', { position: 's0' })
    socket.send(message('sport', '2:1', 's1'), message('news', 'hello', 'n1'))
    expect(await news.take('a message')).toEqual([
      'hello',
      { channel: 'news', body: 'hello', position: 'n1' },
    ])
    expect(all.pending).toEqual([
      ['sport', '2:1', { channel: 'sport', body: '2:1', position: 's1' }],
      ['news', 'hello', { channel: 'news', body: 'hello', position: 'n1' }],
    ])
  })

  it('a listener does not subscribe to anything', async () => {
    const { client, socket } = await connectWebSocket()
    client.on('message:news', () => {})
    client.on('message', () => {})
    client.subscribe('marker', () => {})
    expect(await socket.next()).toEqual({ __type: 'subscribe', channel: 'marker' })
  })

  it('on() returns a function that removes the listener, and a second call does nothing', async () => {
    const { client } = await connectWebSocket()
    const first = vi.fn()
    const second = vi.fn()
    const off = client.on('status', first)
    client.on('status', second)
    off()
    off()
    await client.disconnect()
    expect(first).not.toHaveBeenCalled()
    expect(second).toHaveBeenCalledOnce()
  })

  it('a function that is added twice is two listeners, which are removed separately', async () => {
    const { client } = await connectWebSocket()
    const listener = vi.fn()
    const off = client.on('disconnected', listener)
    client.on('disconnected', listener)
    off()
    off()
    await client.disconnect()
    expect(listener).toHaveBeenCalledOnce()
  })

  it('once() is called for the first event only, and can be removed before', async () => {
    const { client, socket } = await connectWebSocket()
    const once = vi.fn()
    const never = vi.fn()
    client.once('message:news', once)
    client.once('message:news', never)()
    const news = collect()
    client.subscribe('news', news)
    await socket.confirm('news')
    socket.send(message('news', 'a'), message('news', 'b'))
    expect(await news.take(2)).toEqual(['a', 'b'])
    expect(once.mock.calls).toEqual([['a', { channel: 'news', body: 'a' }]])
    expect(never).not.toHaveBeenCalled()
  })

  it('off() removes one listener, also one of once(), or all of an event', async () => {
    const { client } = await connectWebSocket()
    const [a, b, c, d] = [vi.fn(), vi.fn(), vi.fn(), vi.fn()]
    client.on('disconnected', a)
    client.once('disconnected', b)
    client.on('status', c)
    client.on('status', d)
    client.off('disconnected', a)
    client.off('disconnected', b)
    client.off('status')
    client.off('gap')
    await client.disconnect()
    for (const listener of [a, b, c, d]) expect(listener).not.toHaveBeenCalled()
  })

  it('a listener may remove other listeners and itself while it is called', async () => {
    const { client } = await connectWebSocket()
    const ended = vi.fn()
    const offFirst = client.on('disconnected', () => {
      offFirst()
      offEnded()
    })
    const offEnded = client.on('disconnected', ended)
    const last = vi.fn()
    client.on('disconnected', last)
    await client.disconnect()
    expect(ended).not.toHaveBeenCalled()
    expect(last).toHaveBeenCalledOnce()
  })

  it('when a handler or listener throws, the others are called and an error event is emitted', async () => {
    const { client, socket } = await connectWebSocket()
    const errors = hear(client, 'error')
    const thrown = new Error('no such element')
    const news = collect()
    client.subscribe('news', () => {
      throw thrown
    })
    client.on('message', () => {
      throw 'just a string'
    })
    client.subscribe('news', news)
    await socket.confirm('news')
    socket.send(message('news', 'a'), message('news', 'b'))
    expect(await news.take(2)).toEqual(['a', 'b'])
    const [error] = await errors.take('an error')
    expect(error).toMatchObject({
      name: 'BroadcasterError',
      code: 'handler',
      message: "A handler of channel 'news' threw: no such element",
      cause: thrown,
    })
    const [other] = await errors.take('an error')
    expect(other).toMatchObject({
      message: "A listener of 'message' threw: just a string",
      cause: 'just a string',
    })
  })

  it('an error without a listener, or with a listener that throws, is printed', async () => {
    const printed = vi.spyOn(console, 'error').mockImplementation(() => {})
    onTestFinished(() => printed.mockRestore())
    const { client } = await connectWebSocket()
    const thrown = new Error('listener')
    client.on('status', () => {
      throw thrown
    })
    await client.disconnect()
    expect(printed).toHaveBeenLastCalledWith(expect.objectContaining({ code: 'handler', cause: thrown }))
    client.on('error', () => {
      throw new Error('even this one')
    })
    void client.connect()
    expect(printed).toHaveBeenLastCalledWith(expect.objectContaining({ message: 'even this one' }))
  })
})
