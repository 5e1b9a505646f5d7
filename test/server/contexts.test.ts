import { describe, expect, it } from 'vitest'
import { connect, signIn } from '../support/connect.ts'
import { channelName } from '../support/names.ts'
import { nested } from '../support/nested.ts'
import { startRedis } from '../support/redis.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { transports } from '../support/subject.ts'
import { tidy } from '../support/tidy.ts'

class Money {
  readonly #cents = 500
  toJSON() {
    return { cents: this.#cents }
  }
}

class Account {
  readonly id = 7
  readonly #secret = 'hush'
  get secret() {
    return this.#secret
  }
}

/** Values that JSON can't represent, or represents in another way. */
const rich = () => ({
  since: new Date(0),
  money: new Money(),
  account: new Account(),
  map: new Map([['a', 1]]),
  set: new Set([1]),
  gone: undefined,
  method() {},
  [Symbol('tag')]: 1,
  list: [undefined, () => {}, Number.NaN, -0],
  much: Number.POSITIVE_INFINITY,
  nothing: null,
  nested: { deep: [{ at: new Date(0) }] },
})

const plain = {
  since: '1970-01-01T00:00:00.000Z',
  money: { cents: 500 },
  account: { id: 7 },
  map: {},
  set: {},
  list: [null, null, null, 0],
  much: null,
  nothing: null,
  nested: { deep: [{ at: '1970-01-01T00:00:00.000Z' }] },
}

const subjects: [name: string, redis: () => Promise<string | false>][] = [
  ['in process', async () => false],
  ['on Redis', async () => tidy(await startRedis()).url],
]

describe.each(transports)('the context over %s', (transport) => {
  it.each(subjects)('is converted to JSON and back, %s', async (_, redis) => {
    const seen: unknown[] = []
    const server = tidy(
      await startServer({
        redis: await redis(),
        canConnect: rich,
        canSubscribe: (_, _channel, context) => seen.push(context) > 0,
      }),
    )
    const alice = await signIn(server, { transport })
    await alice.subscribe(channelName())
    expect(seen).toStrictEqual([plain])
    expect(Object.is((seen[0] as typeof plain).list[3], 0)).toBe(true)
  })

  it.each(subjects)(
    'is the one that canConnect returned, and later changes have no effect, %s',
    async (_, redis) => {
      const seen: unknown[] = []
      const context = { user: 'alice', roles: ['reader'] }
      const server = tidy(
        await startServer({
          redis: await redis(),
          canConnect: () => context,
          canSubscribe: (auth, _channel, known) => {
            seen.push(structuredClone([auth, known]))
            // These changes must not be visible in the next call.
            auth['user'] = 'mallory'
            known.roles.push('admin')
            return true
          },
        }),
      )
      const alice = await signIn(server, { transport, auth: { user: 'alice' } })
      context.user = 'mallory'
      context.roles.push('admin')
      for (let i = 0; i < 2; i++) await alice.subscribe(channelName())
      const once = [{ user: 'alice' }, { user: 'alice', roles: ['reader'] }]
      expect(seen).toEqual([once, once])
      await server.broadcaster.disconnect({ roles: ['reader', 'admin'] })
      expect(await alice.subscribe(channelName())).toMatchObject({ __type: 'subscribeOk' })
    },
  )

  it('can be a list, and auth data keep the changes of canConnect', async () => {
    const seen: unknown[] = []
    const server = tidy(
      await startServer({
        canConnect: (auth) => {
          delete auth['token']
          auth['at'] = new Date(0)
          return ['news', 'sports']
        },
        canSubscribe: (...args) => seen.push(args) > 0,
      }),
    )
    const alice = await signIn(server, { transport, auth: { token: 'hush', name: 'alice' } })
    const channel = channelName()
    await alice.subscribe(channel)
    expect(seen).toEqual([[{ name: 'alice', at: plain.since }, channel, ['news', 'sports'], {}]])
  })

  const circle: Record<string, unknown> = {}
  circle['self'] = circle
  const failing = new Error('the getter is out of order')

  it.each<[what: string, context: () => object, reason: RegExp]>([
    ['a big integer', () => ({ id: 1n }), /BigInt/],
    ['a circular reference', () => circle, /circular/i],
    [
      'a toJSON that throws',
      () => ({
        toJSON() {
          throw failing
        },
      }),
      /out of order/,
    ],
    [
      'a getter that throws',
      () => ({
        get user() {
          throw failing
        },
      }),
      /out of order/,
    ],
    ['a toJSON that returns undefined', () => ({ toJSON() {} }), /becomes undefined/],
    ['a toJSON that returns false', () => ({ toJSON: () => false }), /becomes false/],
    ['more than 1,000 levels', () => nested(1001), /more than 1000 levels/],
    ['a date', () => new Date(0), /class Date becomes "1970/],
  ])('is refused with %s, and the log has the reason', async (_, context, reason) => {
    const server = tidy(await startServer({ canConnect: context }))
    const alice = await connect(server, { transport })
    expect(await alice.auth()).toEqual({ __type: 'authError', reason: 'Unauthorized' })
    expect(server.logs.loud()).toEqual([expect.stringMatching(/canConnect/)])
    expect(server.logs.loud(reason)).toHaveLength(1)
    await worksStill(server)
  })

  it('is refused if canConnect has put a value into the auth data that is not JSON', async () => {
    const server = tidy(await startServer({ canConnect: (auth) => (auth['id'] = 5n) > 0 }))
    const alice = await connect(server, { transport })
    expect(await alice.auth()).toEqual({ __type: 'authError', reason: 'Unauthorized' })
    expect(server.logs.loud(/canConnect.*BigInt/)).toHaveLength(1)
  })

  it('A3: can have 1,000 levels, as can the auth data, and one more is refused', async () => {
    const server = tidy(
      await startServer({ canConnect: ({ context }) => nested(context as number), canSubscribe: () => true }),
    )
    // The object itself is the first level. Brackets in a string do not count.
    const auth = { deep: nested(999), context: 1000, text: '\\"['.repeat(1000) }
    const alice = await signIn(server, { transport, auth })
    expect(await alice.subscribe(channelName())).toMatchObject({ __type: 'subscribeOk' })
    for (const [data, reason] of [
      [{ ...auth, deep: nested(1000) }, 'Auth too large'],
      [{ ...auth, context: 1001 }, 'Unauthorized'],
    ] as const) {
      const bob = await connect(server, { transport })
      expect(await bob.auth(data)).toEqual({ __type: 'authError', reason })
    }
  })

  it('A3: is not asked for if the auth data are nested too deeply, and nothing is logged', async () => {
    let asked = 0
    const server = tidy(
      await startServer({
        limits: { messageBytes: 200_000, authBytes: 200_000 },
        canConnect: () => ++asked > 0,
      }),
    )
    const alice = await connect(server, { transport })
    await alice.send(`{"__type":"auth","deep":${'['.repeat(50_000)}${']'.repeat(50_000)}}`)
    expect(await alice.next()).toEqual({ __type: 'authError', reason: 'Auth too large' })
    expect(asked).toBe(0)
    expect(server.logs.loud()).toEqual([])
    await worksStill(server)
  })

  /** Checks that the server still accepts other clients. */
  async function worksStill(server: TestServer): Promise<void> {
    const bob = await connect(server, { transport })
    expect((await bob.auth()).__type).toMatch(/^auth/)
  }
})
