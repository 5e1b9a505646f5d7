import { once } from 'node:events'
import net from 'node:net'
import type { BroadcasterOptions } from '@broadcaster/server'
import { describe, expect, it } from 'vitest'
import { waitingPoll } from '../support/barriers.ts'
import { signIn } from '../support/connect.ts'
import { LongPollPeer } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startRedis } from '../support/redis.ts'
import { startNodes, startServer, type TestCluster } from '../support/server.ts'
import { transports } from '../support/subject.ts'
import { tidy } from '../support/tidy.ts'
import { tcpProxy } from '../support/tcpProxy.ts'
import { until } from '../support/waiting.ts'
import { WebSocketPeer } from '../support/webSocketPeer.ts'

/** An application's callback that thinks until it is told to answer; what it saw when it began is what it answers. */
class Thinker<T> {
  readonly #waiting: { answer: T; resolve: (answer: T) => void }[] = []
  #noticed: (() => void)[] = []
  #isOff = false
  asked = 0

  think(answer: T): Promise<T> {
    this.asked += 1
    for (const notice of this.#noticed.splice(0)) notice()
    if (this.#isOff) return Promise.resolve(answer)
    return new Promise((resolve) => this.#waiting.push({ answer, resolve }))
  }

  /** Resolves when it is thinking. */
  async begun(): Promise<void> {
    if (this.#waiting.length === 0) await new Promise<void>((resolve) => this.#noticed.push(resolve))
  }

  /** It answers what it was asked first. */
  answer(): void {
    const { answer, resolve } = this.#waiting.shift()!
    resolve(answer)
  }

  /** From now on it answers at once. */
  off(): void {
    this.#isOff = true
    while (this.#waiting.length > 0) this.answer()
  }
}

async function twoNodes(options: BroadcasterOptions): Promise<TestCluster> {
  const redis = tidy(await startRedis())
  return tidy(await startNodes(2, { redis: redis.url, ...options }))
}

/** Everybody has noticed what was revoked: a client of that node has lost a channel that was revoked after it. */
async function heard(cluster: TestCluster): Promise<void> {
  for (const node of cluster.nodes) {
    const witness = (await signIn(node, {
      transport: 'websocket',
      auth: { __v: 1, user: 'witness' },
    })) as WebSocketPeer
    const channel = channelName('witness')
    await witness.subscribe(channel)
    await cluster.nodes[0]!.broadcaster.unsubscribe({ user: 'witness' }, channel)
    expect(await witness.next()).toMatchObject({ __type: 'unsubscribed' })
    await witness.close()
  }
}

describe('A4: a client whose canConnect is thinking while it is cut off', () => {
  const setUp = async () => {
    const thinker = new Thinker<{ user: unknown } | false>()
    const banned = new Set<unknown>()
    const cluster = await twoNodes({
      canConnect: ({ user }) =>
        user === 'witness' ? { user } : thinker.think(banned.has(user) ? false : { user }),
    })
    return { cluster, thinker, banned, ban: cluster.nodes[0]!.broadcaster }
  }

  it('over WebSocket is sent to come back, and is asked about again', async () => {
    const { cluster, thinker, banned, ban } = await setUp()
    const alice = await WebSocketPeer.connect(cluster.nodes[1]!)
    await alice.send({ __type: 'auth', user: 'alice' })
    await thinker.begun()
    banned.add('alice')
    await ban.disconnect({ user: 'alice' })
    await heard(cluster)
    thinker.off()
    expect(await alice.closed).toEqual({ code: 1012, reason: 'Service restart' })
    const again = await WebSocketPeer.connect(cluster.nodes[1]!)
    expect(await again.auth({ user: 'alice' })).toMatchObject({ __type: 'authError' })
  })

  it('over long-poll gets no session, and is asked about again', async () => {
    const { cluster, thinker, banned, ban } = await setUp()
    const alice = new LongPollPeer(cluster.nodes[1]!)
    const refused = alice.post({ __type: 'auth', user: 'alice' })
    await thinker.begun()
    banned.add('alice')
    await ban.disconnect({ user: 'alice' })
    await heard(cluster)
    thinker.off()
    expect(await refused).toMatchObject({ status: 503, messages: [{ __type: 'serverError' }] })
    expect((await ban.stats()).connections, 'nor is one left').toBe(0)
    expect((await alice.post({ __type: 'auth', user: 'alice' })).status).toBe(401)
  })

  it.each(transports)('is let in over %s if somebody else was meant', async (transport) => {
    const { cluster, thinker, ban } = await setUp()
    const alice =
      transport === 'websocket'
        ? await WebSocketPeer.connect(cluster.nodes[1]!)
        : new LongPollPeer(cluster.nodes[1]!)
    const answer = alice.auth({ user: 'alice' })
    await thinker.begun()
    await ban.disconnect({ user: 'bob' })
    await heard(cluster)
    thinker.off()
    expect(await answer).toMatchObject({ __type: 'authOk' })
  })
})

describe('a request that had begun before disconnect()', () => {
  it('over WebSocket: who has not said yet who he is comes back with a new one', async () => {
    const cluster = await twoNodes({ canConnect: ({ user }) => ({ user }) })
    const unknown = await WebSocketPeer.connect(cluster.nodes[1]!)
    await cluster.nodes[0]!.broadcaster.disconnect({ user: 'alice' })
    expect((await unknown.closed).code).toBe(1012)
  })

  it('is not closed by unsubscribe(): it has no channel', async () => {
    const cluster = await twoNodes({ canConnect: ({ user }) => ({ user }) })
    const unknown = await WebSocketPeer.connect(cluster.nodes[1]!)
    await cluster.nodes[0]!.broadcaster.unsubscribe('everyone', channelName())
    await heard(cluster)
    expect(await unknown.auth({ user: 'alice' })).toMatchObject({ __type: 'authOk' })
  })

  it('over long-poll: a body that comes later makes no session', async () => {
    const server = tidy(await startServer({ canConnect: ({ user }) => ({ user }) }))
    const body = JSON.stringify({ __type: 'auth', user: 'alice' })
    const { hostname, port } = new URL(server.url)
    const socket = net.connect(Number(port), hostname)
    tidy({ close: () => socket.destroy() })
    const request = once(server.httpServer, 'request')
    socket.write(
      `POST /broadcast HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n{`,
    )
    await request
    await server.broadcaster.disconnect({ user: 'alice' })
    const witness = await signIn(server, { transport: 'websocket' })
    await witness.subscribe(channelName())
    socket.write(body.slice(1))
    const [answer] = (await once(socket, 'data')) as [Buffer]
    expect(answer.toString()).toMatch(/^HTTP\/1.1 503 /)
  })
})

describe('A4: a channel that is taken away while canSubscribe is thinking', () => {
  const setUp = async (transport: (typeof transports)[number], auth: object) => {
    const thinker = new Thinker<boolean>()
    const allowed = new Set(['secret'])
    const cluster = await twoNodes({
      canConnect: ({ user }) => ({ user }),
      canSubscribe: (_, channel, context) => {
        const isThought = (context as { user: string }).user === 'alice' && channel === 'secret'
        return isThought ? thinker.think(allowed.has(channel)) : true
      },
    })
    const alice = await signIn(cluster.nodes[1]!, { transport, auth: { user: 'alice', ...auth } })
    return { cluster, thinker, allowed, alice, revoke: cluster.nodes[0]!.broadcaster }
  }
  const kinds = transports.flatMap((transport) => [
    [transport, 'additions', { __v: 1 }] as const,
    [transport, 'base', {}] as const,
  ])

  it.each(kinds)('is refused over %s (%s), once it is asked again', async (transport, _, auth) => {
    const { cluster, thinker, allowed, alice, revoke } = await setUp(transport, auth)
    const answer = alice.subscribe('secret')
    await thinker.begun()
    allowed.delete('secret')
    await revoke.unsubscribe({ user: 'alice' }, 'secret')
    await heard(cluster)
    thinker.off()
    expect(await answer).toMatchObject({ __type: 'subscribeError', channel: 'secret' })
    expect(thinker.asked).toBe(2)
    await cluster.publish('secret', 'not for alice')
    await alice.hearsNothing()
  })

  it.each(kinds)('is given over %s (%s), if it is still allowed', async (transport, _, auth) => {
    const { cluster, thinker, alice, revoke } = await setUp(transport, auth)
    const answer = alice.subscribe('secret')
    await thinker.begun()
    await revoke.unsubscribe({ user: 'alice' }, 'secret')
    await heard(cluster)
    thinker.off()
    expect(await answer).toMatchObject({ __type: 'subscribeOk', channel: 'secret' })
    expect(thinker.asked).toBe(2)
    await cluster.publish('secret', 'for alice')
    expect(await alice.next()).toMatchObject({ channel: 'secret', body: 'for alice' })
  })

  it.each(kinds)('is refused over %s (%s), if it is taken away again', async (transport, _, auth) => {
    const { cluster, thinker, alice, revoke } = await setUp(transport, auth)
    const answer = alice.subscribe('secret')
    for (let round = 0; round < 2; round++) {
      await thinker.begun()
      await revoke.unsubscribe({ user: 'alice' }, 'secret')
      await heard(cluster)
      thinker.answer()
    }
    expect(await answer).toMatchObject({ __type: 'subscribeError', channel: 'secret' })
    await cluster.publish('secret', 'not for alice')
    await alice.hearsNothing()
  })

  it.each(kinds)('is given over %s (%s) at once, if somebody else was meant', async (transport, _, auth) => {
    const { cluster, thinker, alice, revoke } = await setUp(transport, auth)
    const answer = alice.subscribe('secret')
    await thinker.begun()
    await revoke.unsubscribe({ user: 'bob' }, 'secret')
    await revoke.unsubscribe({ user: 'alice' }, 'another')
    await heard(cluster)
    thinker.off()
    expect(await answer).toMatchObject({ __type: 'subscribeOk' })
    expect(thinker.asked).toBe(1)
  })
})

describe('a poll', () => {
  it('of a session that is ended while another node serves it brings nothing more', async () => {
    const cluster = await twoNodes({ canConnect: ({ user }) => ({ user }) })
    const [here, there] = cluster.nodes
    const alice = new LongPollPeer(there!)
    await alice.auth({ user: 'alice', __v: 1 })
    const channel = channelName()
    await alice.subscribe(channel)
    const poll = await waitingPoll(alice)
    await here!.broadcaster.disconnect({ user: 'alice' })
    await cluster.publish(channel, 'not for alice')
    expect((await poll.answer).messages).toEqual([])
    expect((await alice.poll()).status).toBe(401)
  })
})

describe('a node that hears of a revocation late', () => {
  /** The second node's pub/sub goes through a proxy, which holds everything back while it is told to. */
  const setUp = async (options: BroadcasterOptions) => {
    const redis = tidy(await startRedis())
    const proxy = tidy(await tcpProxy(redis.port))
    const prompt = tidy(await startServer({ redis: redis.url, ...options }))
    const pubSub = `redis://127.0.0.1:${proxy.port}`
    const late = tidy(await startServer({ redis: redis.url, pubSub, ...options }))
    return { redis, proxy, prompt, late }
  }

  it('ends the session of one whose canConnect answered before', async () => {
    const thinker = new Thinker<{ user: unknown }>()
    const { redis, proxy, prompt, late } = await setUp({ canConnect: ({ user }) => thinker.think({ user }) })
    const alice = new LongPollPeer(late)
    const answer = alice.post({ __type: 'auth', user: 'alice' })
    await thinker.begun()
    proxy.stall()
    await prompt.broadcaster.disconnect({ user: 'alice' })
    thinker.off()
    expect(await answer, 'nobody here knows better yet').toMatchObject({ status: 200 })
    proxy.resume()
    await until('the session to be gone', async () => (await redis.cli('KEYS', 'bc:session:*')) === '')
  })

  it('takes the channel from one whose canSubscribe answered before', async () => {
    const thinker = new Thinker<boolean>()
    const channel = channelName()
    let isAllowed = true
    const { proxy, prompt, late } = await setUp({
      canConnect: ({ user }) => ({ user }),
      canSubscribe: (_, name, context) =>
        name !== channel || (context as { user: string }).user !== 'alice' || thinker.think(isAllowed),
    })
    // The node has the channel already: nothing is left to be asked of Redis about it.
    const bob = await signIn(late, { transport: 'longpoll', auth: { user: 'bob' } })
    await bob.subscribe(channel)
    const alice = await signIn(late, { transport: 'longpoll', auth: { user: 'alice', __v: 1 } })
    const answer = alice.subscribe(channel)
    await thinker.begun()
    proxy.stall()
    isAllowed = false
    await prompt.broadcaster.unsubscribe({ user: 'alice' }, channel)
    thinker.off()
    expect(await answer, 'nobody here knows better yet').toMatchObject({ __type: 'subscribeOk' })
    proxy.resume()
    expect(await alice.next()).toMatchObject({ __type: 'unsubscribed', channel })
    await late.publish(channel, 'not for alice')
    await alice.hearsNothing()
  })
})
