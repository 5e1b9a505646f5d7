// oxlint-disable unicorn/no-thenable -- this file tests thenables
import { runInNewContext } from 'node:vm'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { collect, connectWebSocket, hear, makeClient, until } from './scriptedServer.ts'

const message = (body: string) => ({ __type: 'message', channel: 'news', body })
const thrown = new Error('no such element')

/** Collects unhandled rejections, which would end the process. */
function unhandledRejections() {
  const reasons: unknown[] = []
  const listen = (reason: unknown) => void reasons.push(reason)
  process.on('unhandledRejection', listen)
  onTestFinished(() => void process.off('unhandledRejection', listen))
  return async () => {
    // Node reports them after the microtasks of a turn.
    await new Promise((resolve) => setImmediate(resolve))
    return reasons
  }
}

describe('async handlers', () => {
  const failures: [string, () => unknown, unknown][] = [
    ['an async function', async () => Promise.reject(thrown), thrown],
    [
      'a function that fails after a while',
      async () => {
        await new Promise((resolve) => setImmediate(resolve))
        throw thrown
      },
      thrown,
    ],
    ['one with a promise of another realm', () => runInNewContext("Promise.reject('theirs')"), 'theirs'],
    [
      'one with a thenable',
      () => ({ then: (_: unknown, reject: (_: Error) => void) => reject(thrown) }),
      thrown,
    ],
    [
      'one with a thenable that throws',
      () => ({
        then: () => {
          throw thrown
        },
      }),
      thrown,
    ],
    [
      'one with a thenable that can’t even be looked at',
      () => ({
        get then() {
          throw thrown
        },
      }),
      thrown,
    ],
    ['one that rejects with nothing', () => Promise.reject(), undefined],
  ]

  it.each(failures)(
    '%s: a rejection emits an error event, and other handlers are still called',
    async (_what, fail, cause) => {
      const unhandled = unhandledRejections()
      const { client, socket } = await connectWebSocket()
      const errors = hear(client, 'error')
      const others = collect()
      const failing = client.subscribe('news', fail)
      client.subscribe('news', others)
      await socket.confirm('news')
      socket.send(message('a'), message('b'))
      expect(await others.take(2)).toEqual(['a', 'b'])
      for (let count = 0; count < 2; count++) {
        const [error] = await errors.take('an error')
        expect(error).toMatchObject({ name: 'BroadcasterError', code: 'handler' })
        expect(error.message).toMatch(/^A handler of channel 'news' threw: ./)
        expect(error.cause).toBe(cause)
      }
      expect(failing.status).toBe('subscribed')
      expect(client.status).toBe('connected')
      expect(await unhandled()).toEqual([])
    },
  )

  it('a thrown value may be one that can not be converted to a string', async () => {
    const { client, socket } = await connectWebSocket()
    const errors = hear(client, 'error')
    const others = collect()
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    const things = [Object.create(null), proxy]
    client.subscribe('news', () => {
      throw things[0]
    })
    client.subscribe('news', async () => Promise.reject(things[1]))
    client.subscribe('news', others)
    await socket.confirm('news')
    socket.send(message('a'))
    expect(await others.next()).toBe('a')
    for (const thing of things) {
      const [error] = await errors.take('an error')
      expect(error.message).toBe("A handler of channel 'news' threw: unknown")
      expect(Object.is(error.cause, thing)).toBe(true)
    }
  })

  it('the next message does not wait for an async handler', async () => {
    const { client, socket } = await connectWebSocket()
    const begun: string[] = []
    client.subscribe('news', async (body) => {
      begun.push(body)
      await new Promise(() => {})
    })
    await socket.confirm('news')
    socket.send(message('a'), message('b'), message('c'))
    await until('all three', () => begun.length === 3)
    expect(begun).toEqual(['a', 'b', 'c'])
  })

  it('onGap and onStatus that reject emit an error event too', async () => {
    const unhandled = unhandledRejections()
    const { client, socket } = await connectWebSocket()
    const errors = hear(client, 'error')
    client.subscribe('news', () => {}, {
      onGap: async ({ reason }) => Promise.reject(new Error(reason)),
      onStatus: async (status) => Promise.reject(new Error(status)),
    })
    await socket.confirm('news', { position: 'p0' })
    expect((await errors.take('an error'))[0].cause).toEqual(new Error('subscribed'))
    socket.send({ __type: 'gap', channel: 'news', reason: 'overflow' })
    expect((await errors.take('an error'))[0].cause).toEqual(new Error('overflow'))
    expect(await unhandled()).toEqual([])
  })

  it('listeners that reject emit an error event, for every event and also with once()', async () => {
    const unhandled = unhandledRejections()
    const { client, socket } = await connectWebSocket()
    const errors = hear(client, 'error')
    const names = ['message', 'message:news', 'gap', 'status', 'disconnected'] as const
    client.subscribe('news', () => {})
    await socket.confirm('news')
    for (const name of names) client.once(name, async () => Promise.reject(thrown))
    socket.send(message('a'), message('b'), { __type: 'gap', channel: 'news', reason: 'overflow' })
    await until('the gap', () => errors.pending.length === 3)
    await client.disconnect()
    await until('all errors', () => errors.pending.length === 5)
    expect(errors.pending.map(([{ message: words }]) => words)).toEqual(
      names.map((name) => `A listener of '${name}' threw: no such element`),
    )
    expect(await unhandled()).toEqual([])
  })

  it('the rejection of an error listener is printed once, and emits no error event', async () => {
    const unhandled = unhandledRejections()
    const printed = vi.spyOn(console, 'error').mockImplementation(() => {})
    onTestFinished(() => printed.mockRestore())
    const { client, socket } = await connectWebSocket()
    const heard = vi.fn(async () => Promise.reject(new Error('even this one')))
    client.on('error', heard)
    client.subscribe('news', async () => Promise.reject(thrown))
    await socket.confirm('news')
    socket.send(message('a'))
    await until('the printed error', () => printed.mock.calls.length > 0)
    expect(await unhandled()).toEqual([])
    expect(printed.mock.calls).toEqual([[new Error('even this one')]])
    expect(heard).toHaveBeenCalledOnce()
  })

  it('next() causes no unhandled rejection when the channel is refused before the promise is awaited', async () => {
    const unhandled = unhandledRejections()
    const { client, socket } = await connectWebSocket()
    const iterator = client.messages('secret')[Symbol.asyncIterator]()
    const next = iterator.next()
    await socket.next('subscribe')
    socket.send({ __type: 'subscribeError', channel: 'secret', reason: 'not for you' })
    const marker = client.subscribe('marker', () => {})
    await socket.confirm('marker')
    await marker.ready
    expect(await unhandled()).toEqual([])
    await expect(next).rejects.toMatchObject({ code: 'refused' })
  })

  it('a loop ends when a listener disconnects while the loop makes the client connect', async () => {
    const client = makeClient('ws://127.0.0.1:1/')
    const errors = hear(client, 'error')
    client.on('status', ({ to }) => (to === 'connecting' ? client.disconnect() : undefined))
    const iterator = client.messages('news')[Symbol.asyncIterator]()
    expect(await iterator.next()).toEqual({ value: undefined, done: true })
    expect(errors.pending).toEqual([])
  })
})

describe('credentials that can not be written as JSON', () => {
  it.each([
    ['an object', { id: 1n }],
    ['a function', () => ({ id: 1n })],
  ])('given as %s fail the attempt and emit an error event', async (_what, auth) => {
    const client = makeClient('ws://127.0.0.1:1/', { auth, maxAttempts: 0, mode: 'websocket' })
    const errors = hear(client, 'error')
    await expect(client.connect()).rejects.toMatchObject({ code: 'maxAttempts' })
    const [error] = await errors.take('an error')
    expect(error).toMatchObject({ code: 'authFunction', message: expect.stringContaining('BigInt') })
  })
})
