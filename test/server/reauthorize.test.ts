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
import { until } from '../support/waiting.ts'
import { WebSocketPeer } from '../support/webSocketPeer.ts'
import { Visitor } from '../recovery/visitor.ts'

const canConnect = ({ user }: Record<string, unknown>) => ({ user })

async function twoNodes(options: BroadcasterOptions = {}) {
  const redis = tidy(await startRedis())
  const cluster = tidy(await startNodes(2, { redis: redis.url, canConnect, ...options }))
  return { ...cluster, redis }
}

/** How the clients are asked: by a node, or by any program. */
const ways: [
  how: string,
  (cluster: TestCluster, type: string, user: string, more?: { channel: string }) => Promise<unknown>,
][] = [
  [
    'a node',
    ({ nodes }, type, user, more) => {
      const live = nodes[0]!.broadcaster
      if (type === 'unsubscribe') return live.unsubscribe({ user }, more!.channel)
      return type === 'disconnect' ? live.disconnect({ user }) : live.reauthorize({ user })
    },
  ],
  [
    'a plain PUBLISH on the control channel',
    (cluster, type, user, more) =>
      cluster.publish('broadcaster', JSON.stringify({ v: 1, type, match: { user }, ...more })),
  ],
]

describe.each(ways)('clients that are asked for credentials again, by %s', (_, ask) => {
  it('A7: WebSockets on every node are closed, those of clients of the base too, and no others', async () => {
    const cluster = await twoNodes()
    const come = async (user: string, node: number, more: object) =>
      (await signIn(cluster.nodes[node]!, {
        transport: 'websocket',
        auth: { user, ...more },
      })) as WebSocketPeer
    const alices = [await come('alice', 0, { __v: 2 }), await come('alice', 1, { __v: 1 })]
    const original = await come('alice', 1, {})
    const bob = await come('bob', 1, { __v: 2 })
    await ask(cluster, 'reauthorize', 'alice')
    for (const alice of alices) expect(await alice.closed).toEqual({ code: 4411, reason: 'Authorize again' })
    expect(await original.closed).toEqual({ code: 1012, reason: 'Service restart' })
    expect(await bob.subscribe(channelName())).toMatchObject({ __type: 'subscribeOk' })
  })

  it('A7: sessions end, wherever their poll waits', async () => {
    const cluster = await twoNodes()
    const come = async (user: string) => {
      const peer = new LongPollPeer(cluster)
      await peer.auth({ user, __v: 2 })
      return peer
    }
    const [alice, bob] = [await come('alice'), await come('bob')]
    const poll = await waitingPoll(alice)
    await ask(cluster, 'reauthorize', 'alice')
    expect([200, 401]).toContain((await poll.answer).status)
    await until('the session to be ended', async () => (await alice.poll()).status === 401)
    expect(await bob.subscribe(channelName())).toMatchObject({ __type: 'subscribeOk' })
  })

  it.each(transports)(
    'disconnect and unsubscribe reach clients over %s in the same way',
    async (transport) => {
      const cluster = await twoNodes()
      const channel = channelName()
      const alice = await signIn(cluster, { transport, auth: { user: 'alice', __v: 2 } })
      await alice.subscribe(channel)
      await ask(cluster, 'unsubscribe', 'alice', { channel })
      expect(await alice.next()).toMatchObject({ __type: 'unsubscribed', channel })
      await ask(cluster, 'disconnect', 'alice')
      if (alice instanceof WebSocketPeer) expect((await alice.closed).code).toBe(4403)
      else
        await until(
          'the session to be ended',
          async () => (await (alice as LongPollPeer).poll()).status === 401,
        )
    },
  )
})

describe.each(transports)('reauthorize(), for a client over %s', (mode) => {
  it('A7: it continues without a loss, and channels that it may no longer have end with unsubscribed', async () => {
    const rights = new Map([['alice', new Set<string>()]])
    let asked = 0
    const cluster = await twoNodes({
      canConnect: ({ user }) => {
        asked++
        return { user }
      },
      canSubscribe: (_auth, channel, { user }) => rights.get(user as string)!.has(channel),
    })
    const [kept, taken] = [channelName('kept'), channelName('taken')]
    for (const channel of [kept, taken]) rights.get('alice')!.add(channel)
    let tokens = 0
    const alice = await Visitor.come(cluster.url, kept, {
      mode,
      auth: () => ({ user: 'alice', token: ++tokens }),
    })
    const ended = new Promise((resolve) => {
      const subscription = alice.client.subscribe(taken, () => {}, {
        onStatus: (status, error) => status === 'refused' && resolve(error),
      })
      void subscription.ready.then(async () => {
        rights.get('alice')!.delete(taken)
        for (let i = 1; i <= 20; i++) {
          await cluster.publish(kept, String(i))
          if (i === 5) await cluster.nodes[1]!.broadcaster.reauthorize({ user: 'alice' })
        }
      })
    })
    expect(await ended).toMatchObject({ code: 'unsubscribed' })
    expect(await alice.hears('20')).toEqual(Array.from({ length: 20 }, (_, i) => String(i + 1)))
    // More than twice, if it has come to a node that did not know of it yet.
    expect(Math.min(asked, tokens)).toBeGreaterThanOrEqual(2)
  })

  it('A7, A4: it has to come again if its canConnect was running', async () => {
    let ask = () => {}
    const asked = new Promise<void>((resolve) => (ask = resolve))
    let answer = (_context: object) => {}
    const server = tidy(
      await startServer({
        canConnect: () =>
          new Promise((resolve) => {
            answer = resolve
            ask()
          }),
      }),
    )
    const alice = mode === 'websocket' ? await WebSocketPeer.connect(server) : new LongPollPeer(server)
    const request = { __type: 'auth', user: 'alice', __v: 2 }
    const answered = alice instanceof LongPollPeer ? alice.post(request) : alice.send(request)
    await asked
    await server.broadcaster.reauthorize({ user: 'alice' })
    answer({ user: 'alice' })
    if (alice instanceof WebSocketPeer) expect((await alice.closed).code).toBe(1012)
    else expect(await answered).toMatchObject({ status: 503 })
  })
})

describe('reauthorize()', () => {
  it("asks everyone, with 'everyone'", async () => {
    const server = tidy(await startServer())
    const auth = { __v: 2 }
    const clients = await Promise.all(
      Array.from({ length: 30 }, () => signIn(server, { transport: 'websocket', auth })),
    )
    await server.broadcaster.reauthorize('everyone')
    for (const client of clients as WebSocketPeer[]) expect((await client.closed).code).toBe(4411)
  })

  it.each([{}, { user: undefined }, 'nobody', null])('refuses the match %o', async (match) => {
    const server = tidy(await startServer())
    await expect(server.broadcaster.reauthorize(match as object)).rejects.toMatchObject({
      code: 'invalidOption',
      message: expect.stringContaining('reauthorize()'),
    })
  })
})
