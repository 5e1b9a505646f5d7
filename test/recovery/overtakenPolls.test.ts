import { expect, it } from 'vitest'
import { LongPollPeer, post } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startRedis } from '../support/redis.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { tcpProxy } from '../support/tcpProxy.ts'
import { tidy } from '../support/tidy.ts'
import { until, within } from '../support/waiting.ts'

it.each([
  ['of the original', {}],
  ['of ours', { __v: 1 }],
])(
  'L5: all polls of a client %s on a slow node are answered when its next poll comes to another node',
  async (_, auth) => {
    const redis = tidy(await startRedis())
    const link = tidy(await tcpProxy(redis.port))
    // The replies of the session store are late. Messages of the other node are not.
    const slow = tidy(await startServer({ redis: `redis://${link.address}`, pubSub: redis.url }))
    const other = tidy(await startServer({ redis: redis.url }))
    const alice = new LongPollPeer(other)
    await alice.auth(auth)
    await alice.subscribe(channelName())
    const [key] = (await redis.cli('KEYS', 'bc:session:*')).split('\n')
    /** The number of the session's newest poll on its node. */
    const newest = async () => Number(/\d+$/.exec(await redis.cli('HGET', key!, 'poller'))?.[0] ?? 0)
    const poll = (server: TestServer, seq: string) =>
      post(server.url, { __type: 'poll', seq, __token: alice.token })
    const waiting = async (server: TestServer) => (await server.broadcaster.stats()).node.waitingPolls
    const older = [poll(slow, 'to begin with')]
    await until('the first poll', async () => (await newest()) === 1)
    link.delay(1500, 'down')
    older.push(poll(slow, 'late'), poll(slow, 'later'))
    await until('both polls to be in the store', async () => (await newest()) === 3, { ms: 5000 })
    const last = poll(other, 'last')
    await until('the last poll', async () => (await waiting(other)) === 1)
    await within(Promise.all(older), 'the older polls to be answered')
    expect(await waiting(other)).toBe(1)
    void last.catch(() => {})
  },
)
