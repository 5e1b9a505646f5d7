import { Redis } from 'ioredis'
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

it('L5: a poll that came to the store before an older one is ended by a poll on another node', async () => {
  const redis = tidy(await startRedis())
  let hold: Promise<void> | null = null
  // The commands of this node are as on a server that learns a script between two polls of the node: the first one is sent again.
  const instance = new Redis(redis.url, { lazyConnect: true })
  const duplicate = instance.duplicate.bind(instance)
  instance.duplicate = (options) => {
    const client = duplicate(options)
    const evalsha = client.evalsha.bind(client) as (...args: unknown[]) => Promise<unknown>
    client.evalsha = (async (...args: unknown[]) => {
      if (hold === null || !args.some((arg) => String(arg).startsWith('bc:session:'))) return evalsha(...args)
      const held = hold
      hold = null
      await held
      throw Object.assign(new Error('NOSCRIPT No matching script'), { name: 'ReplyError' })
    }) as typeof client.evalsha
    return client
  }
  const first = tidy(await startServer({ redis: instance }))
  const other = tidy(await startServer({ redis: redis.url }))
  const alice = new LongPollPeer(other)
  await alice.auth({ __v: 1 })
  await alice.subscribe(channelName())
  const [key] = (await redis.cli('KEYS', 'bc:session:*')).split('\n')
  const newest = async () => Number(/\d+$/.exec(await redis.cli('HGET', key!, 'poller'))?.[0] ?? 0)
  const poll = (server: TestServer, seq: string) =>
    post(server.url, { __type: 'poll', seq, __token: alice.token })
  const older = [poll(first, '1')]
  await until('the first poll', async () => (await newest()) === 1)
  let release!: () => void
  hold = new Promise((resolve) => (release = resolve))
  older.push(poll(first, '2'))
  await until('the second poll to be sent', () => hold === null)
  older.push(poll(first, '3'))
  await until('the third poll to be in the store', async () => (await newest()) === 3)
  release()
  await until('the second poll to be in the store', async () => (await newest()) === 2)
  const last = poll(other, '4')
  await within(Promise.all(older), 'the older polls to be answered')
  expect((await other.broadcaster.stats()).node.waitingPolls).toBe(1)
  void last.catch(() => {})
})
