import { broadcaster, type Broadcaster, type BroadcasterOptions } from '@broadcaster/server'
import type { Request } from 'express'
import { describe, expectTypeOf, it } from 'vitest'

describe('types', () => {
  it('context is what canConnect returns', () => {
    const live = () =>
      broadcaster({
        redis: false,
        canConnect: async (auth, req) => {
          expectTypeOf(auth).toEqualTypeOf<Record<string, unknown>>()
          expectTypeOf(req).toEqualTypeOf<Request>()
          return auth['ok'] === true && { user: 'alice', roles: ['reader'] }
        },
        canSubscribe: (auth, channel, context) => {
          expectTypeOf(auth).toEqualTypeOf<Record<string, unknown>>()
          expectTypeOf(channel).toEqualTypeOf<string>()
          expectTypeOf(context).toEqualTypeOf<{ user: string; roles: string[] }>()
          return context.user === channel
        },
      })
    expectTypeOf(live).returns.toEqualTypeOf<Broadcaster>()
  })

  it('accept origins as strings, patterns or an asynchronous function', () => {
    expectTypeOf<{ checkOrigin: (string | RegExp)[] }>().toExtend<BroadcasterOptions>()
    expectTypeOf<{ checkOrigin: (req: Request) => Promise<boolean> }>().toExtend<BroadcasterOptions>()
  })

  it("accept a match or 'everyone'", () => {
    expectTypeOf<Broadcaster['disconnect']>().parameter(0).toEqualTypeOf<object | 'everyone'>()
    expectTypeOf<Broadcaster['unsubscribe']>().parameter(0).toEqualTypeOf<object | 'everyone'>()
  })

  it('accept undefined for the default, as environment variables give it', () => {
    expectTypeOf<{ redis: string | undefined; secret: string | undefined }>().toExtend<BroadcasterOptions>()
    expectTypeOf<{
      timeout: undefined
      limits: undefined
      logger: undefined
    }>().toExtend<BroadcasterOptions>()
  })

  it('refuse invalid options', () => {
    // @ts-expect-error it is limits.messageBytes
    expectTypeOf<{ webSocket: { maxPayload: number } }>().toExtend<BroadcasterOptions>()
    // @ts-expect-error ws 8 has it, and the server has ws 7
    expectTypeOf<{ webSocket: { autoPong: boolean } }>().toExtend<BroadcasterOptions>()
    const choose = (names: Set<string>) => [...names].join()
    // @ts-expect-error ws 8 passes a set, and ws 7 a list
    expectTypeOf({ webSocket: { handleProtocols: choose } }).toExtend<BroadcasterOptions>()
    // @ts-expect-error it has another meaning in Socket.IO
    expectTypeOf<{ checkOrigin: true }>().toExtend<BroadcasterOptions>()
    // @ts-expect-error no such option
    expectTypeOf<{ pollTimeMs: number }>().toExtend<BroadcasterOptions>()
    // @ts-expect-error true is not a Redis
    expectTypeOf<{ redis: true }>().toExtend<BroadcasterOptions>()
    // @ts-expect-error a string is no answer
    expectTypeOf<{ canConnect: () => string }>().toExtend<BroadcasterOptions>()
  })
})
