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

/** A callback of the application that answers when the test says so. Its answer is decided at the time of the call. */
class HeldCallback<T> {
  readonly #waiting: { answer: T; resolve: (answer: T) => void }[] = []
  #noticed: (() => void)[] = []
  #isOff = false
  asked = 0

  call(answer: T): Promise<T> {
    this.asked += 1
    for (const notice of this.#noticed.splice(0)) notice()
    if (this.#isOff) return Promise.resolve(answer)
    return new Promise((resolve) => this.#waiting.push({ answer, resolve }))
  }

  /** Resolves when a call is waiting. */
  async begun(): Promise<void> {
    if (this.#waiting.length === 0) await new Promise<void>((resolve) => this.#noticed.push(resolve))
  }

  /** Answers the oldest waiting call. */
  answer(): void {
    const { answer, resolve } = this.#waiting.shift()!
    resolve(answer)
  }

  /** From now on, it answers at once. */
  off(): void {
    this.#isOff = true
    while (this.#waiting.length > 0) this.answer()
  }
}

async function twoNodes(options: BroadcasterOptions): Promise<TestCluster> {
  const redis = tidy(await startRedis())
  return tidy(await startNodes(2, { redis: redis.url, ...options }))
}

/** Resolves when all nodes have received the earlier revocations: a client on each node has lost a channel by a later one. */
async function receivedByAll(cluster: TestCluster): Promise<void> {
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

describe('A4: a client that is disconnected while its canConnect waits', () => {
  const setUp = async () => {
    const callback = new HeldCallback<{ user: unknown } | false>()
    const banned = new Set<unknown>()
    const cluster = await twoNodes({
      canConnect: ({ user }) =>
        user === 'witness' ? { user } : callback.call(banned.has(user) ? false : { user }),
    })
    return { cluster, callback, banned, ban: cluster.nodes[0]!.broadcaster }
  }

  it('has to reconnect over WebSocket, and canConnect is called again', async () => {
    const { cluster, callback, banned, ban } = await setUp()
    const alice = await WebSocketPeer.connect(cluster.nodes[1]!)
    await alice.send({ __type: 'auth', user: 'alice' })
    await callback.begun()
    banned.add('alice')
    await ban.disconnect({ user: 'alice' })
    await receivedByAll(cluster)
    callback.off()
    expect(await alice.closed).toEqual({ code: 1012, reason: 'Service restart' })
    const again = await WebSocketPeer.connect(cluster.nodes[1]!)
    expect(await again.auth({ user: 'alice' })).toMatchObject({ __type: 'authError' })
  })

  it('gets no session over long-poll, and canConnect is called again', async () => {
    const { cluster, callback, banned, ban } = await setUp()
    const alice = new LongPollPeer(cluster.nodes[1]!)
    const refused = alice.post({ __type: 'auth', user: 'alice' })
    await callback.begun()
    banned.add('alice')
    await ban.disconnect({ user: 'alice' })
    await receivedByAll(cluster)
    callback.off()
    expect(await refused).toMatchObject({ status: 503, messages: [{ __type: 'serverError' }] })
    expect((await ban.stats()).connections, 'and no session is left').toBe(0)
    expect((await alice.post({ __type: 'auth', user: 'alice' })).status).toBe(401)
  })

  it.each(transports)('is accepted over %s if disconnect() matches another client', async (transport) => {
    const { cluster, callback, ban } = await setUp()
    const alice =
      transport === 'websocket'
        ? await WebSocketPeer.connect(cluster.nodes[1]!)
        : new LongPollPeer(cluster.nodes[1]!)
    const answer = alice.auth({ user: 'alice' })
    await callback.begun()
    await ban.disconnect({ user: 'bob' })
    await receivedByAll(cluster)
    callback.off()
    expect(await answer).toMatchObject({ __type: 'authOk' })
  })
})

describe('A4: a request that began before disconnect()', () => {
  it('is closed over WebSocket if the client has not authenticated, and the client can reconnect', async () => {
    const cluster = await twoNodes({ canConnect: ({ user }) => ({ user }) })
    const unknown = await WebSocketPeer.connect(cluster.nodes[1]!)
    await cluster.nodes[0]!.broadcaster.disconnect({ user: 'alice' })
    expect((await unknown.closed).code).toBe(1012)
  })

  it('is not closed by unsubscribe(), because it has no channel', async () => {
    const cluster = await twoNodes({ canConnect: ({ user }) => ({ user }) })
    const unknown = await WebSocketPeer.connect(cluster.nodes[1]!)
    await cluster.nodes[0]!.broadcaster.unsubscribe('everyone', channelName())
    await receivedByAll(cluster)
    expect(await unknown.auth({ user: 'alice' })).toMatchObject({ __type: 'authOk' })
  })

  it('gets no session over long-poll if its body arrives later', async () => {
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

describe('A4: a channel that is taken away while canSubscribe waits', () => {
  const setUp = async (transport: (typeof transports)[number], auth: object) => {
    const callback = new HeldCallback<boolean>()
    const allowed = new Set(['secret'])
    const cluster = await twoNodes({
      canConnect: ({ user }) => ({ user }),
      canSubscribe: (_, channel, context) => {
        const isHeld = (context as { user: string }).user === 'alice' && channel === 'secret'
        return isHeld ? callback.call(allowed.has(channel)) : true
      },
    })
    const alice = await signIn(cluster.nodes[1]!, { transport, auth: { user: 'alice', ...auth } })
    return { cluster, callback, allowed, alice, revoke: cluster.nodes[0]!.broadcaster }
  }
  const kinds = transports.flatMap((transport) => [
    [transport, 'additions', { __v: 1 }] as const,
    [transport, 'base', {}] as const,
  ])

  it.each(kinds)(
    'is refused over %s (%s), after canSubscribe is called again',
    async (transport, _, auth) => {
      const { cluster, callback, allowed, alice, revoke } = await setUp(transport, auth)
      const answer = alice.subscribe('secret')
      await callback.begun()
      allowed.delete('secret')
      await revoke.unsubscribe({ user: 'alice' }, 'secret')
      await receivedByAll(cluster)
      callback.off()
      expect(await answer).toMatchObject({ __type: 'subscribeError', channel: 'secret' })
      expect(callback.asked).toBe(2)
      await cluster.publish('secret', 'not for alice')
      await alice.hearsNothing()
    },
  )

  it.each(kinds)(
    'is subscribed over %s (%s), if canSubscribe still accepts it',
    async (transport, _, auth) => {
      const { cluster, callback, alice, revoke } = await setUp(transport, auth)
      const answer = alice.subscribe('secret')
      await callback.begun()
      await revoke.unsubscribe({ user: 'alice' }, 'secret')
      await receivedByAll(cluster)
      callback.off()
      expect(await answer).toMatchObject({ __type: 'subscribeOk', channel: 'secret' })
      expect(callback.asked).toBe(2)
      await cluster.publish('secret', 'for alice')
      expect(await alice.next()).toMatchObject({ channel: 'secret', body: 'for alice' })
    },
  )

  it.each(kinds)('is refused over %s (%s), if it is taken away again', async (transport, _, auth) => {
    const { cluster, callback, alice, revoke } = await setUp(transport, auth)
    const answer = alice.subscribe('secret')
    for (let round = 0; round < 2; round++) {
      await callback.begun()
      await revoke.unsubscribe({ user: 'alice' }, 'secret')
      await receivedByAll(cluster)
      callback.answer()
    }
    expect(await answer).toMatchObject({ __type: 'subscribeError', channel: 'secret' })
    await cluster.publish('secret', 'not for alice')
    await alice.hearsNothing()
  })

  it.each(kinds)(
    'is subscribed over %s (%s) at once, if unsubscribe() matches another client',
    async (transport, _, auth) => {
      const { cluster, callback, alice, revoke } = await setUp(transport, auth)
      const answer = alice.subscribe('secret')
      await callback.begun()
      await revoke.unsubscribe({ user: 'bob' }, 'secret')
      await revoke.unsubscribe({ user: 'alice' }, 'another')
      await receivedByAll(cluster)
      callback.off()
      expect(await answer).toMatchObject({ __type: 'subscribeOk' })
      expect(callback.asked).toBe(1)
    },
  )
})

describe('a poll', () => {
  it('of a session that was ended on another node returns no more messages', async () => {
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

describe('a node that receives a revocation late', () => {
  /** The pub/sub of the second node goes through a proxy, which can hold everything back. */
  const setUp = async (options: BroadcasterOptions) => {
    const redis = tidy(await startRedis())
    const proxy = tidy(await tcpProxy(redis.port))
    const prompt = tidy(await startServer({ redis: redis.url, ...options }))
    const pubSub = `redis://127.0.0.1:${proxy.port}`
    const late = tidy(await startServer({ redis: redis.url, pubSub, ...options }))
    return { redis, proxy, prompt, late }
  }

  it('ends the session of a client whose canConnect answered before', async () => {
    const callback = new HeldCallback<{ user: unknown }>()
    const { redis, proxy, prompt, late } = await setUp({ canConnect: ({ user }) => callback.call({ user }) })
    const alice = new LongPollPeer(late)
    const answer = alice.post({ __type: 'auth', user: 'alice' })
    await callback.begun()
    proxy.stall()
    await prompt.broadcaster.disconnect({ user: 'alice' })
    callback.off()
    expect(await answer, 'this node does not know otherwise yet').toMatchObject({ status: 200 })
    proxy.resume()
    await until('the session to be gone', async () => (await redis.cli('KEYS', 'bc:session:*')) === '')
  })

  it('takes the channel from a client whose canSubscribe answered before', async () => {
    const callback = new HeldCallback<boolean>()
    const channel = channelName()
    let isAllowed = true
    const { proxy, prompt, late } = await setUp({
      canConnect: ({ user }) => ({ user }),
      canSubscribe: (_, name, context) =>
        name !== channel || (context as { user: string }).user !== 'alice' || callback.call(isAllowed),
    })
    // The node already has the channel, so the next subscribe needs nothing from Redis.
    const bob = await signIn(late, { transport: 'longpoll', auth: { user: 'bob' } })
    await bob.subscribe(channel)
    const alice = await signIn(late, { transport: 'longpoll', auth: { user: 'alice', __v: 1 } })
    const answer = alice.subscribe(channel)
    await callback.begun()
    proxy.stall()
    isAllowed = false
    await prompt.broadcaster.unsubscribe({ user: 'alice' }, channel)
    callback.off()
    expect(await answer, 'this node does not know otherwise yet').toMatchObject({ __type: 'subscribeOk' })
    proxy.resume()
    expect(await alice.next()).toMatchObject({ __type: 'unsubscribed', channel })
    await late.publish(channel, 'not for alice')
    await alice.hearsNothing()
  })
})
