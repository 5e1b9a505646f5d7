import { accept, type BroadcasterOptions } from '@broadcaster/server'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { waitingPoll } from '../support/barriers.ts'
import { connect, signIn } from '../support/connect.ts'
import { LongPollPeer } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startRedis } from '../support/redis.ts'
import { startNodes, startServer } from '../support/server.ts'
import { transports } from '../support/subject.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'
import { WebSocketPeer } from '../support/webSocketPeer.ts'

const HOUR_MS = 3_600_000
const MONTH_MS = 30 * 24 * HOUR_MS

/** A token is the time at which it ends. */
const canConnect: BroadcasterOptions['canConnect'] = ({ endsAt }) =>
  typeof endsAt !== 'number' || accept({ endsAt }, { expiresAt: endsAt })

/** Sets the system clock of this process forward. Timers and sockets are not affected. */
function clockAdvances(ms: number): void {
  const now = Date.now() + ms
  vi.useFakeTimers({ toFake: ['Date'], now })
}

afterEach(() => {
  vi.useRealTimers()
})

describe('when the credentials of a client end', () => {
  it.each([HOUR_MS, MONTH_MS])('A6: its WebSocket is closed, also if they were for %i ms', async (lifeMs) => {
    const server = tidy(await startServer({ canConnect }))
    const auth = { __v: 2, endsAt: Date.now() + lifeMs }
    const alice = (await signIn(server, { transport: 'websocket', auth })) as WebSocketPeer
    const bob = await signIn(server, { transport: 'websocket', auth: { endsAt: Date.now() + 2 * lifeMs } })
    const channel = channelName()
    await alice.subscribe(channel)
    await bob.subscribe(channel)
    clockAdvances(lifeMs)
    expect(await alice.closed).toEqual({ code: 4411, reason: 'Credentials have expired' })
    await server.publish(channel, 'not for alice')
    expect(await bob.next(), 'whose credentials are still good').toMatchObject({ body: 'not for alice' })
    expect(alice.pending).toEqual([])
  })

  it('A6: that is up to a tenth of their life, and up to ten seconds, earlier, at a random time', async () => {
    const server = tidy(await startServer({ canConnect }))
    const endsAt = Date.now() + HOUR_MS
    const come = () => signIn(server, { transport: 'websocket', auth: { __v: 2, endsAt } })
    const clients = await Promise.all(Array.from({ length: 60 }, come))
    const open = () => clients.filter((client) => (client as WebSocketPeer).socket.readyState === 1).length
    clockAdvances(endsAt - 11_000 - Date.now())
    for (const client of clients) await client.subscribe('x')
    expect(open()).toBe(60)
    clockAdvances(endsAt - 5000 - Date.now())
    // All 60 on the same side of the middle: one chance in 2^60.
    await until('some of them to be closed', () => open() < 60)
    expect(open()).toBeGreaterThan(0)
    clockAdvances(endsAt - Date.now())
    await until('the others to be closed', () => open() === 0)
  })

  it('A6: its session is over on every node, also on one that has served its polls', async () => {
    const redis = tidy(await startRedis())
    const cluster = tidy(await startNodes(2, { redis: redis.url, canConnect }))
    const [first, second] = cluster.nodes
    const alice = new LongPollPeer(first!)
    await alice.auth({ __v: 2, endsAt: Date.now() + HOUR_MS })
    const channel = channelName()
    await alice.subscribe(channel)
    await first!.publish(channel, 'before')
    expect(await alice.next()).toMatchObject({ body: 'before' })
    const poll = await waitingPoll(alice)
    clockAdvances(HOUR_MS)
    expect(await poll.answer).toMatchObject({
      status: 401,
      messages: [{ __type: 'authError', reason: 'Auth expected' }],
    })
    for (const node of [second!, first!]) {
      const request = { __type: 'poll', seq: 'later', __token: alice.token }
      const answer = await fetch(node.url, { method: 'POST', body: JSON.stringify(request) })
      expect(answer.status).toBe(401)
    }
    await until('Redis to have no session', async () => (await first!.broadcaster.stats()).connections === 0)
  })

  it('A6: another node takes its session over with the end of its credentials', async () => {
    const redis = tidy(await startRedis())
    const cluster = tidy(await startNodes(2, { redis: redis.url, canConnect }))
    const [first, second] = cluster.nodes
    const alice = new LongPollPeer(first!)
    await alice.auth({ __v: 2, endsAt: Date.now() + HOUR_MS })
    const request = { __type: 'poll', seq: '0', positions: {}, __token: alice.token }
    const waiting = fetch(second!.url, { method: 'POST', body: JSON.stringify(request) })
    await until('the poll to wait', async () => (await second!.broadcaster.stats()).node.waitingPolls === 1)
    clockAdvances(HOUR_MS)
    expect((await waiting).status).toBe(401)
  })

  it('A6: a session whose client does not poll at that time is over when it polls later', async () => {
    const server = tidy(await startServer({ canConnect }))
    const alice = new LongPollPeer(server)
    await alice.auth({ __v: 2, endsAt: Date.now() + HOUR_MS })
    const channel = channelName()
    await alice.subscribe(channel)
    await server.publish(channel, 'published before')
    clockAdvances(HOUR_MS)
    await server.publish(channel, 'published after')
    expect(await alice.poll()).toMatchObject({ status: 401, messages: [{ __type: 'authError' }] })
    await until('no session to be left', async () => (await server.broadcaster.stats()).connections === 0)
  })

  it.each(transports)(
    'A6: a subscribe over %s whose canSubscribe is running then is not executed',
    async (transport) => {
      let ask = () => {}
      const asked = new Promise<void>((resolve) => (ask = resolve))
      let answer = (_isAllowed: boolean) => {}
      const server = tidy(
        await startServer({
          canConnect,
          canSubscribe: () =>
            new Promise((resolve) => {
              answer = resolve
              ask()
            }),
        }),
      )
      const alice = await signIn(server, { transport, auth: { __v: 2, endsAt: Date.now() + HOUR_MS } })
      const channel = channelName()
      const request = { __type: 'subscribe', channel }
      const answered = alice instanceof LongPollPeer ? alice.post(request) : alice.send(request)
      await asked
      clockAdvances(HOUR_MS)
      if (alice instanceof WebSocketPeer) expect((await alice.closed).code).toBe(4411)
      answer(true)
      if (alice instanceof LongPollPeer) expect(await answered).toMatchObject({ status: 401 })
      await server.publish(channel, 'unheard')
      expect(alice.pending).toEqual([])
      await until('nobody to be there', async () => (await server.broadcaster.stats()).connections === 0)
    },
  )

  it('A6: a client that does not read is cut off', async () => {
    const server = tidy(await startServer({ canConnect }))
    const alice = await WebSocketPeer.connect(server)
    await alice.auth({ __v: 2, endsAt: Date.now() + HOUR_MS })
    await alice.subscribe('x')
    alice.stall()
    clockAdvances(HOUR_MS)
    await until('the server to count no client', async () => {
      const { node } = await server.broadcaster.stats()
      return node.webSockets === 0
    })
    await server.publish('x', 'unheard')
    alice.resume()
    expect((await alice.closed).code).toBe(4411)
    expect(alice.pending).toEqual([])
  })

  it.each(transports)('A6: the same credentials are refused afterwards, over %s', async (transport) => {
    const server = tidy(await startServer({ canConnect }))
    const auth = { __v: 2, endsAt: Date.now() + HOUR_MS }
    await signIn(server, { transport, auth })
    clockAdvances(HOUR_MS)
    const mallory = await connect(server, { transport })
    expect(await mallory.auth(auth)).toEqual({ __type: 'authError', reason: 'Credentials have expired' })
  })

  it('A6: that is before the answer if canConnect takes longer, and the client is asked again', async () => {
    const server = tidy(
      await startServer({
        canConnect: ({ endsAt }) => {
          clockAdvances(2 * HOUR_MS)
          return accept(true, { expiresAt: endsAt as number })
        },
      }),
    )
    const alice = await WebSocketPeer.connect(server)
    expect(await alice.auth({ __v: 2, endsAt: Date.now() + HOUR_MS })).toMatchObject({ __type: 'authOk' })
    expect((await alice.closed).code).toBe(4411)
  })

  it('a clock that is set back keeps clients in for longer, and one that is set forward ends them', async () => {
    const server = tidy(await startServer({ canConnect }))
    const auth = { __v: 2, endsAt: Date.now() + HOUR_MS }
    const alice = (await signIn(server, { transport: 'websocket', auth })) as WebSocketPeer
    clockAdvances(-HOUR_MS)
    expect(await alice.subscribe('x')).toMatchObject({ __type: 'subscribeOk' })
    clockAdvances(2 * HOUR_MS)
    expect((await alice.closed).code).toBe(4411)
  })
})
