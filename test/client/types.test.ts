import { BroadcasterClient, BroadcasterError } from '@broadcaster/client'
import type {
  ChannelName,
  ClientOptions,
  FetchLike,
  Gap,
  Message,
  MessageHandler,
  Snapshot,
  Status,
  SubscribeOptions,
  WebSocketConstructor,
} from '@broadcaster/client'
import { describe, expect, expectTypeOf, it } from 'vitest'
import WebSocket from 'ws'

describe('types', () => {
  it('have the arguments of every event', () => {
    const client = new BroadcasterClient('/broadcast')
    client.on('message', (...args) => expectTypeOf(args).toEqualTypeOf<[string, string, Message]>())
    client.on('message:news', (...args) => expectTypeOf(args).toEqualTypeOf<[string, Message]>())
    client.once('gap', (gap) => expectTypeOf(gap).toEqualTypeOf<Gap>())
    client.on('error', (error) => expectTypeOf(error).toEqualTypeOf<BroadcasterError>())
    client.on('disconnected', ({ error }) => expectTypeOf(error).toEqualTypeOf<BroadcasterError | null>())
    client.on('status', ({ from }) => expectTypeOf(from).toEqualTypeOf<Status>())
    // @ts-expect-error there is no such event
    client.on('connected', () => {})
    expectTypeOf(client.getSnapshot()).toEqualTypeOf<Snapshot>()
  })

  it('accept handlers and listeners that are async or return anything', () => {
    expectTypeOf<ReturnType<MessageHandler>>().toBeUnknown()
    expectTypeOf<(body: string) => Promise<void>>().toExtend<MessageHandler>()
    expectTypeOf<(body: string) => number>().toExtend<MessageHandler>()
    expectTypeOf<{ onGap: () => Promise<void>; onStatus: () => Promise<void> }>().toExtend<SubscribeOptions>()
    new BroadcasterClient('/broadcast').on('status', async ({ to }) => to)
  })

  it('accept the WebSocket of browsers and of ws, and any fetch', () => {
    expectTypeOf(WebSocket).toExtend<WebSocketConstructor>()
    expectTypeOf<typeof globalThis.WebSocket>().toExtend<WebSocketConstructor>()
    expectTypeOf(fetch).toExtend<FetchLike>()
    expectTypeOf<'anything'>().toExtend<ChannelName>()
    expectTypeOf<{ mode: 'auto'; auth: () => Promise<{ token: string }> }>().toExtend<ClientOptions>()
    expectTypeOf<{ mode: 'sse' }>().not.toExtend<ClientOptions>()
  })
})

describe('BroadcasterError.from()', () => {
  it('returns a BroadcasterError as it is, and wraps any other value', () => {
    const error = new BroadcasterError('timeout', 'too late')
    expect(BroadcasterError.from(error)).toBe(error)
    const cause = new TypeError('not a function')
    expect(BroadcasterError.from(cause)).toMatchObject({ code: 'unknown', message: 'not a function', cause })
    expect(BroadcasterError.from('oops', 'connection')).toMatchObject({
      code: 'connection',
      message: 'oops',
      cause: 'oops',
    })
    expect('cause' in error).toBe(false)
    expect(error).toBeInstanceOf(Error)
    expect(String(error)).toBe('BroadcasterError: too late')
  })
})
