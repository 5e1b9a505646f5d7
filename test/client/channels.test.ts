import { defineChannels, SchemaError, text } from '@broadcaster/channels'
import type { Message, TransportName } from '@broadcaster/client'
import { describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { startServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'
import { withoutWaiting } from './fakeTime.ts'
import { connectWebSocket, expectSilence, hear, makeClient } from './scriptedServer.ts'
import { sentence } from './sentence.ts'

const channels = defineChannels({
  orders: z.object({ id: z.number(), price: z.number().transform((cents) => cents / 100) }),
  'room:{id}': z.object({ text: z.string() }),
  news: text,
  'marker {n}': text,
})
const transports: TransportName[] = ['websocket', 'longpoll']
const nothing = () => {}

describe.each(transports)('the option channels, on %s', (mode) => {
  it('gives handlers parsed bodies, in order, and a body that does not fit to onError', async () => {
    const server = tidy(await startServer())
    const client = makeClient(server.url, { mode, channels })
    const heard: unknown[] = []
    const errors: [SchemaError, Message][] = []
    const onError = (...args: [SchemaError, Message]) => errors.push(args)
    const handler = (body: unknown, message: Message) => heard.push([body, message.body])
    await client.subscribe('room:42', handler, { onError }).ready
    // Others publish what they like.
    for (const body of ['{"text":"a"}', 'no JSON', '{"text":5}', '', '{"text":"b","more":1}'])
      await server.publish('room:42', body)
    await until('all', () => heard.length + errors.length === 5)
    expect(heard).toEqual([
      [{ text: 'a' }, '{"text":"a"}'],
      [{ text: 'b' }, '{"text":"b","more":1}'],
    ])
    expect(errors.map(([, { body }]) => body)).toEqual(['no JSON', '{"text":5}', ''])
    for (const [error] of errors) expect(error).toBeInstanceOf(SchemaError)
    expect(errors[0]![0].cause).toBeInstanceOf(SyntaxError)
    expect(errors[1]![0].issues).toMatchObject([{ path: ['text'] }])
  })
})

describe('the option channels', () => {
  it('is understood by a server with the same map', async () => {
    const server = tidy(await startServer({ channels }))
    const client = makeClient(server.url, { mode: 'websocket', channels })
    const heard: unknown[] = []
    await client.subscribe('orders', (body) => heard.push(body)).ready
    await client.subscribe('news', (body) => heard.push(body)).ready
    // The type of this server does not know the map.
    const publish = server.broadcaster.publish as (channel: string, body: unknown) => Promise<void>
    await publish('orders', { id: 1, price: 1250 })
    await publish('news', 'hello')
    await until('both', () => heard.length === 2)
    expect(heard).toEqual([{ id: 1, price: 12.5 }, 'hello'])
  })

  it('refuses a channel that it does not have, at each connection, without asking the server', async () => {
    withoutWaiting()
    const { client, server, socket } = await connectWebSocket({ channels })
    const onStatus = vi.fn()
    for (const name of ['ordres', 'room:', 'room:1:2', '__proto__']) {
      const { ready } = client.subscribe(name, nothing, { onStatus })
      await expect(ready).rejects.toMatchObject({
        code: 'refused',
        message: sentence(`Channel '${name}': it is not in the option \`channels\``),
      })
    }
    await expectSilence(client, socket)
    const stop = client.subscribe('constructor', nothing, { onStatus })
    stop()
    await expect(stop.ready).rejects.toMatchObject({ code: 'aborted' })
    await expectSilence(client, socket)

    onStatus.mockClear()
    socket.cut()
    const next = await server.accept()
    await until('the refusals', () => onStatus.mock.calls.length === 8)
    expect(onStatus.mock.calls.map(([status]) => status).toSorted()).toEqual([
      ...Array<string>(4).fill('refused'),
      ...Array<string>(4).fill('subscribing'),
    ])
    expect(await next.next()).toMatchObject({
      __type: 'subscribe',
      channel: expect.stringMatching(/^marker/),
    })
  })

  it('parses a body once for all handlers of a channel', async () => {
    const validate = vi.fn((value: unknown) => ({ value }))
    const counted = defineChannels({ news: { '~standard': { version: 1, vendor: 'test', validate } } })
    const server = tidy(await startServer())
    const client = makeClient(server.url, { mode: 'websocket', channels: counted })
    const heard: unknown[] = []
    for (let i = 0; i < 3; i++) await client.subscribe('news', (body) => heard.push(body)).ready
    await server.publish('news', '{"id":1}')
    await until('all', () => heard.length === 3)
    expect(heard).toEqual([{ id: 1 }, { id: 1 }, { id: 1 }])
    expect(validate).toHaveBeenCalledOnce()
  })

  it('makes an error event of a body that does not fit if there is no onError, and continues', async () => {
    const server = tidy(await startServer())
    const client = makeClient(server.url, { mode: 'websocket', channels })
    const errors = hear(client, 'error')
    const heard: unknown[] = []
    await client.subscribe('room:42', (body) => heard.push(body)).ready
    await server.publish('room:42', '5')
    await server.publish('room:42', '{"text":"a"}')
    await until('the next', () => heard.length === 1)
    const [error] = await errors.take('the error')
    expect(error).toMatchObject({ code: 'handler', cause: expect.any(SchemaError) })
    expect(errors.pending).toEqual([])
  })

  it('is used by messages(), and not by the events, which have the published string', async () => {
    const server = tidy(await startServer())
    const client = makeClient(server.url, { mode: 'websocket', channels })
    const events = hear(client, 'message:room:42')
    const errors = hear(client, 'error')
    const loop = client.messages('room:42')[Symbol.asyncIterator]()
    const first = loop.next()
    await client.subscribe('room:42', nothing, { onError: nothing }).ready
    await server.publish('room:42', '5')
    await server.publish('room:42', '{"text":"a"}')
    expect(await first).toMatchObject({ value: { channel: 'room:42', body: { text: 'a' } } })
    expect([(await events.take('5'))[0], (await events.take('a'))[0]]).toEqual(['5', '{"text":"a"}'])
    expect((await errors.take('the error'))[0]).toMatchObject({ cause: expect.any(SchemaError) })
    await loop.return!()

    const unknown = client.messages('ordres')[Symbol.asyncIterator]()
    await expect(unknown.next()).rejects.toMatchObject({ code: 'refused' })
  })
})
