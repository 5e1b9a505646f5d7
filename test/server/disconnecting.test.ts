import { describe, expect, it } from 'vitest'
import { waitingPoll } from '../support/barriers.ts'
import { signIn } from '../support/connect.ts'
import { LongPollPeer } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startRedis } from '../support/redis.ts'
import { startNodes, startServer } from '../support/server.ts'
import { transports } from '../support/subject.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'
import { WebSocketPeer } from '../support/webSocketPeer.ts'

const canConnect = (auth: Record<string, unknown>) => ({ user: auth['user'], role: 'reader' })

/** No poll ends because its time is over. */
const pollTime = 100_000

async function twoNodes(options = {}) {
  const redis = tidy(await startRedis())
  return tidy(await startNodes(2, { redis: redis.url, canConnect, ...options }))
}

describe('disconnect()', () => {
  it('A4: disconnects the clients whose context matches, on every node, and no other client', async () => {
    const cluster = await twoNodes()
    const [first, second] = cluster.nodes
    const alices = await Promise.all(
      cluster.nodes.map((node) => signIn(node, { transport: 'websocket', auth: { user: 'alice' } })),
    )
    const bob = await signIn(second!, { transport: 'websocket', auth: { user: 'bob' } })
    await first!.broadcaster.disconnect({ user: 'alice' })
    for (const alice of alices as WebSocketPeer[]) {
      expect(await alice.closed).toEqual({ code: 4403, reason: 'Disconnected by the server' })
    }
    expect(await bob.subscribe(channelName())).toMatchObject({ __type: 'subscribeOk' })
    await first!.broadcaster.disconnect({ user: 'bob', role: 'writer' })
    expect(await bob.subscribe(channelName()), 'everything has to match').toMatchObject({
      __type: 'subscribeOk',
    })
  })

  it('A4: ends long-poll sessions, also a poll that waits on another node', async () => {
    const cluster = await twoNodes({ pollTime })
    const alice = new LongPollPeer(cluster)
    await alice.auth({ user: 'alice' })
    const bob = new LongPollPeer(cluster)
    await bob.auth({ user: 'bob' })
    const poll = await waitingPoll(alice)
    for (const node of cluster.nodes) await node.broadcaster.disconnect({ user: 'alice' })
    expect([200, 401]).toContain((await poll.answer).status)
    expect((await alice.poll()).status).toBe(401)
    expect(await bob.subscribe(channelName())).toMatchObject({ __type: 'subscribeOk' })
  })

  it('A4: ends a waiting poll without Redis, also if it is called twice at once', async () => {
    const server = tidy(await startServer({ canConnect, pollTime }))
    const alice = new LongPollPeer(server)
    await alice.auth({ user: 'alice' })
    const poll = await waitingPoll(alice)
    await Promise.all([1, 2].map(() => server.broadcaster.disconnect({ user: 'alice' })))
    expect([200, 401]).toContain((await poll.answer).status)
    expect((await alice.poll()).status).toBe(401)
  })

  it('resolves if no client matches', async () => {
    const server = tidy(await startServer({ canConnect }))
    await server.broadcaster.disconnect({ user: 'nobody' })
  })
})

describe('unsubscribe()', () => {
  it.each(transports)(
    'takes a channel from clients over %s, and tells clients with the additions',
    async (transport) => {
      const cluster = await twoNodes()
      const [taken, kept] = [channelName('taken'), channelName('kept')]
      const come = async (user: string) => {
        const peer = await signIn(cluster, { transport, auth: { user, __v: 1 } })
        for (const channel of [taken, kept]) await peer.subscribe(channel)
        return peer
      }
      const [alice, bob] = [await come('alice'), await come('bob')]
      await cluster.nodes[0]!.broadcaster.unsubscribe({ user: 'alice' }, taken)
      expect(await alice.next()).toEqual({
        __type: 'unsubscribed',
        channel: taken,
        reason: 'Unsubscribed by the server',
      })
      await cluster.publish(taken, 'not for alice')
      await cluster.publish(kept, 'for both')
      expect(await alice.next()).toMatchObject({ channel: kept, body: 'for both' })
      expect(await bob.next()).toMatchObject({ channel: taken })
      expect(await bob.next()).toMatchObject({ channel: kept })
      expect(await alice.subscribe(taken), 'the client can try again').toMatchObject({
        __type: 'subscribeOk',
      })
    },
  )
})

describe('close()', () => {
  it.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, '10s', null])(
    'refuses to drain for %s ms, and the server continues to work',
    async (drain) => {
      const server = tidy(await startServer())
      await expect(server.broadcaster.close({ drain: drain as number })).rejects.toMatchObject({
        code: 'invalidOption',
        message: expect.stringMatching(/drain/),
      })
      expect((await fetch(`${server.url}/health`)).status).toBe(200)
    },
  )

  it('closes every connection with a code with which clients reconnect, and answers every poll', async () => {
    const server = tidy(await startServer())
    const alice = (await signIn(server, { transport: 'websocket' })) as WebSocketPeer
    const bob = new LongPollPeer(server)
    await bob.auth()
    const poll = await waitingPoll(bob)
    await server.broadcaster.close()
    expect([1001, 1012]).toContain((await alice.closed).code)
    expect((await poll.answer).status).toBe(200)
    expect((await fetch(`${server.url}/health`)).status).toBe(503)
  })

  it('can be called twice', async () => {
    const server = tidy(await startServer())
    await Promise.all([server.broadcaster.close(), server.broadcaster.close()])
    await server.broadcaster.close()
  })

  it('leaves no counts in Redis, and no connection', async () => {
    const redis = tidy(await startRedis())
    const server = await startServer({ redis: redis.url })
    await signIn(server, { transport: 'websocket' })
    const before = await redis.cli('CLIENT', 'LIST')
    expect(before.split('\n').length).toBeGreaterThan(1)
    await server.close()
    await until(
      'all connections to be gone',
      async () => (await redis.cli('CLIENT', 'LIST')).split('\n').length === 1,
    )
    const other = tidy(await startServer({ redis: redis.url }))
    expect((await other.broadcaster.stats()).connections).toBe(0)
  })

  it('with drain makes the clients move, and refuses new clients meanwhile', async () => {
    const cluster = await twoNodes()
    const [leaving, staying] = cluster.nodes
    const channel = channelName()
    const peers: WebSocketPeer[] = []
    for (let i = 0; i < 5; i++) {
      const peer = (await signIn(leaving!, { transport: 'websocket', auth: { __v: 1 } })) as WebSocketPeer
      await peer.subscribe(channel)
      peers.push(peer)
    }
    const closing = leaving!.broadcaster.close({ drain: 500 })
    expect((await fetch(`${leaving!.url}/health`)).status).toBe(503)
    for (const peer of peers) expect((await peer.closed).code).toBe(1012)
    await closing
    await signIn(staying!, { transport: 'websocket' })
  })
})
