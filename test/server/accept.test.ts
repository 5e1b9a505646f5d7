import { accept, broadcaster, BroadcasterError } from '@broadcaster/server'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { connect, signIn } from '../support/connect.ts'
import { channelName } from '../support/names.ts'
import { startServer } from '../support/server.ts'
import { transports } from '../support/subject.ts'
import { tidy } from '../support/tidy.ts'

describe('accept()', () => {
  it.each([
    [NaN, 'NaN'],
    ['tomorrow', '"tomorrow"'],
    [-1, '-1'],
    [-Infinity, '-Infinity'],
    [null, 'null'],
    [new Date(NaN), 'an invalid Date'],
    [{}, 'object'],
  ])('throws for the expiresAt %o', (expiresAt, got) => {
    const call = () => accept({ user: 1 }, { expiresAt: expiresAt as number })
    expect(call).toThrow(BroadcasterError)
    expect(call).toThrow('accept(): expected expiresAt in ms since 1970, or a Date; got')
    expect(call).toThrow(got)
  })

  it('throws for a time in seconds, as in a JWT, and says what to do', () => {
    const exp = Math.floor(Date.now() / 1000) + 3600
    expect(() => accept(true, { expiresAt: exp })).toThrow(/in the year 1970: .* multiply seconds by 1000/)
  })

  it.each([undefined, null, false, 'alice', accept(true)])('throws for the context %o', (context) => {
    expect(() => accept(context as object)).toThrow('accept(): expected an object or true as the context')
  })

  it('gives canSubscribe the type of the context', () => {
    broadcaster({
      redis: false,
      canConnect: async ({ user }) =>
        user !== undefined && accept({ user: 5 }, { expiresAt: new Date(2e12) }),
      canSubscribe: (_auth, _channel, context) => {
        expectTypeOf(context).toEqualTypeOf<{ user: number }>()
        return true
      },
    })
    broadcaster({
      redis: false,
      canConnect: ({ user }) => (user === 1 ? accept({ user }) : { user }),
      canSubscribe: (_auth, _channel, { user }) => user !== undefined,
    })
  })
})

describe.each(transports)('a client that was accepted over %s', (transport) => {
  it.each([
    ['without an end', {}],
    ['until Infinity', { expiresAt: Infinity }],
    ['until a Date', { expiresAt: new Date('2100-01-01') }],
    ['for longer than a timer can wait', { expiresAt: Date.now() + 3 * 2 ** 31 }],
    ['until the last possible time', { expiresAt: Number.MAX_VALUE }],
  ])('%s is in, and canSubscribe gets the context', async (_, options) => {
    const contexts: unknown[] = []
    const server = tidy(
      await startServer({
        canConnect: ({ user }) => accept({ user }, options),
        canSubscribe: (_auth, _channel, context) => contexts.push(context) > 0,
      }),
    )
    const alice = await signIn(server, { transport, auth: { user: 'alice' } })
    const channel = channelName()
    expect(await alice.subscribe(channel)).toMatchObject({ __type: 'subscribeOk' })
    expect(contexts).toEqual([{ user: 'alice' }])
    await server.publish(channel, 'hello')
    expect(await alice.next()).toMatchObject({ body: 'hello' })
  })

  it('has no context after accept(true)', async () => {
    const contexts: unknown[] = []
    const server = tidy(
      await startServer({
        canConnect: () => accept(true),
        canSubscribe: (_auth, _channel, context) => contexts.push(context) > 0,
      }),
    )
    const alice = await signIn(server, { transport })
    await alice.subscribe(channelName())
    expect(contexts).toEqual([undefined])
  })

  it('is refused if expiresAt is wrong, and the error is logged', async () => {
    const server = tidy(await startServer({ canConnect: () => accept(true, { expiresAt: NaN }) }))
    const alice = await connect(server, { transport })
    expect(await alice.auth()).toEqual({ __type: 'authError', reason: 'Unauthorized' })
    expect(server.logs.loud('canConnect failed')).toEqual([expect.stringContaining('got NaN')])
  })

  it('is refused if its credentials have ended, which is logged as a refusal', async () => {
    const server = tidy(
      await startServer({ canConnect: () => accept(true, { expiresAt: Date.now() - 60_000 }) }),
    )
    const alice = await connect(server, { transport })
    expect(await alice.auth()).toEqual({ __type: 'authError', reason: 'Credentials have expired' })
    expect((await server.broadcaster.stats()).node.refusals.auth).toBe(1)
  })
})
