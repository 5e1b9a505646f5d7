import { defineChannels, SchemaError, text, type Schema } from '@broadcaster/channels'
import { type } from 'arktype'
import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'

/** The same order by each library. On the wire, the price is in cents. */
const libraries: [string, Schema<{ id: number; price: number }>][] = [
  ['zod', z.object({ id: z.number(), price: z.number().transform((cents) => cents / 100) })],
  [
    'valibot',
    v.object({
      id: v.number(),
      price: v.pipe(
        v.number(),
        v.transform((cents) => cents / 100),
      ),
    }),
  ],
  ['arktype', type({ id: 'number', price: type('number').pipe((cents) => cents / 100) })],
]

describe.each(libraries)('a body of a channel, with %s', (_, Order) => {
  const channels = defineChannels({ orders: Order, 'orders:{shop}': Order })

  it.each(['orders', 'orders:acme'] as const)('is encoded and decoded: %s', (channel) => {
    const encoded = channels.encode(channel, { id: 1, price: 1250 })
    expect(encoded).toBe('{"id":1,"price":1250}')
    expect(channels.decode(channel, encoded)).toEqual({ id: 1, price: 12.5 })
  })

  it('that does not fit is an error, with the issues of the library', () => {
    for (const run of [
      () => channels.encode('orders:acme', { id: 'x', price: 1 }),
      () => channels.decode('orders:acme', '{"id":"x","price":1}'),
    ]) {
      const error = errorOf(run)
      expect(error).toBeInstanceOf(SchemaError)
      expect(error.message).toMatch(
        /^A message of channel "orders:acme" does not fit its schema: .*id.*number/i,
      )
      expect((error as SchemaError).issues).toHaveLength(1)
    }
  })
})

describe('a body of a channel', () => {
  const channels = defineChannels({
    any: z.unknown(),
    news: text,
    title: z.string(),
    day: z.object({ at: z.date() }),
    since: z.object({ at: z.coerce.date() }),
    note: z.object({ text: z.string().optional() }),
  })

  it('is JSON, text too, except where the schema is `text`', () => {
    expect(channels.encode('title', 'hello')).toBe('"hello"')
    expect(channels.decode('title', '"hello"')).toBe('hello')
    expect(channels.encode('news', 'hello')).toBe('hello')
    expect(channels.decode('news', '"hello"')).toBe('"hello"')
    expect(() => channels.encode('news', 5 as never)).toThrow('expected text, got number')
    expect(errorOf(() => channels.decode('title', 'hello')).cause).toBeInstanceOf(SyntaxError)
  })

  it('is checked as clients receive it: after JSON', () => {
    expect(() => channels.encode('day', { at: new Date(0) })).toThrow('at: Invalid input: expected date')
    expect(channels.encode('since', { at: new Date(0) })).toBe('{"at":"1970-01-01T00:00:00.000Z"}')
    expect(channels.encode('note', { text: undefined })).toBe('{}')
    expect(channels.encode('any', { toJSON: () => 5 })).toBe('5')
  })

  it('has to be something that JSON can represent', () => {
    const circle: unknown[] = []
    circle.push(circle)
    expect(() => channels.encode('any', undefined)).toThrow(SchemaError)
    expect(() => channels.encode('any', circle)).toThrow(/circular/)
    expect(() => channels.encode('any', 5n)).toThrow(/BigInt/)
  })

  it('can be neither encoded nor decoded for a channel that the map does not have', () => {
    for (const name of ['ordres', '__proto__', ''])
      for (const run of [() => channels.encode(name as 'any', 1), () => channels.decode(name, '1')])
        expect(run).toThrow(new TypeError(`There is no channel "${name}" in the map of defineChannels()`))
  })

  it('is refused by an asynchronous schema, and a rejection of it is handled', () => {
    const later = (validate: () => Promise<{ value: string }>): Schema<string> => ({
      '~standard': { version: 1, vendor: 'test', validate },
    })
    const slow = defineChannels({
      resolves: later(async () => ({ value: 'x' })),
      rejects: later(async () => Promise.reject(new Error('no'))),
      zod: z.string().refine(async () => true),
      valibot: v.pipeAsync(
        v.string(),
        v.checkAsync(async () => true),
      ),
    })
    for (const name of ['resolves', 'rejects', 'zod', 'valibot'] as const) {
      expect(() => slow.encode(name, 'x')).toThrow('it may not be asynchronous')
      expect(() => slow.decode(name, '"x"')).toThrow('it may not be asynchronous')
    }
  })

  it('of a schema that throws is an error with its cause', () => {
    const cause = new RangeError('too deep')
    const fail = () => {
      throw cause
    }
    const bad: Schema = { '~standard': { version: 1, vendor: 'test', validate: fail } }
    const failing = defineChannels({ bad, zod: z.unknown().transform(fail) })
    const error = errorOf(() => failing.decode('bad', '1'))
    expect(error).toBeInstanceOf(SchemaError)
    expect(error.message).toContain('too deep')
    expect(error.cause).toBe(cause)
    // zod tries it again as an asynchronous schema. The rejection of that is handled.
    expect(() => failing.decode('zod', '1')).toThrow('its code may not throw')
  })
})

function errorOf(run: () => unknown): Error {
  try {
    run()
  } catch (error) {
    return error as Error
  }
  throw new Error('It did not throw')
}
