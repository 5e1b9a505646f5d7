import { SchemaError, useChannel, type Schema } from '@broadcaster/react'
import type { Message } from '@broadcaster/client'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import { channelName } from '../support/names.ts'
import { until } from '../support/waiting.ts'
import { renderApp, sees } from './support.tsx'

const Price = z.object({ symbol: z.string(), price: z.number().transform((cents) => cents / 100) })

describe('schema', () => {
  it('parses and types the body', async () => {
    const prices = channelName()
    const bodies: unknown[] = []
    function Prices() {
      const { status, latest } = useChannel(prices, {
        schema: Price,
        onMessage: (body, message) => {
          expectTypeOf(body).toEqualTypeOf<{ symbol: string; price: number }>()
          bodies.push(body, message.body)
        },
      })
      return `${status} ${latest?.body.symbol} ${latest?.body.price}`
    }
    const app = await renderApp(<Prices />)
    await sees(app, 'subscribed')
    await app.server.publish(prices, { symbol: 'ACME', price: 1250 })
    await sees(app, 'ACME 12.5')
    expect(bodies).toEqual([
      { symbol: 'ACME', price: 12.5 },
      { symbol: 'ACME', price: 12.5 },
    ])
  })

  it('passes a body that does not fit to onError, never to onMessage, and continues', async () => {
    const prices = channelName()
    const bodies: unknown[] = []
    const errors: (readonly [Error, Message | undefined])[] = []
    function Prices() {
      const { status, latest } = useChannel(prices, {
        schema: Price,
        onMessage: (body) => bodies.push(body),
        onError: (error, message) => errors.push([error, message]),
      })
      return `${status} ${latest?.body.symbol}`
    }
    const app = await renderApp(<Prices />)
    await sees(app, 'subscribed')
    await app.server.publish(prices, 'no JSON', '{"symbol":1,"price":"x"}', '{"symbol":"ACME","price":1}')
    await sees(app, 'ACME')

    expect(bodies).toEqual([{ symbol: 'ACME', price: 0.01 }])
    const [[noJson, first], [noFit, second]] = errors as [(typeof errors)[0], (typeof errors)[0]]
    expect(noJson).toBeInstanceOf(SchemaError)
    expect(noJson.cause).toBeInstanceOf(SyntaxError)
    expect(first).toMatchObject({ channel: prices, body: 'no JSON' })
    expect(noFit).toBeInstanceOf(SchemaError)
    expect((noFit as SchemaError).issues.map(({ path }) => path)).toEqual([['symbol'], ['price']])
    expect(second?.body).toBe('{"symbol":1,"price":"x"}')
  })

  it('refuses an async schema, because the next message could overtake this one', async () => {
    const later: Schema<string> = {
      '~standard': { version: 1, vendor: 'test', validate: async (value) => ({ value: String(value) }) },
    }
    const news = channelName()
    const errors: Error[] = []
    function News() {
      return useChannel(news, { schema: later, onError: (error) => errors.push(error) }).status
    }
    const app = await renderApp(<News />)
    await sees(app, 'subscribed')
    await app.server.publish(news, '"hello"')
    await until('the error', () => errors.length)
    expect(errors[0]!.message).toContain('asynchronous')
  })

  it('must agree with the declared channels', () => {
    // Never called. The compiler checks it.
    void function Orders() {
      useChannel('declared-orders', { schema: z.object({ id: z.number() }) })
      useChannel('declared-room:42', { schema: z.object({ text: z.string() }) })
      // @ts-expect-error the id is a number
      useChannel('declared-orders', { schema: z.object({ id: z.string() }) })
      // @ts-expect-error a room's message has a text
      useChannel('declared-room:42', { schema: z.object({ id: z.number() }) })
      // @ts-expect-error without a schema, a body is a string
      useChannel('declared-orders', (body: { id: number }) => body.id)
    }
  })
})

declare module '@broadcaster/client' {
  interface Channels {
    'declared-orders': { id: number }
    [room: `declared-room:${string}`]: { text: string }
  }
}
