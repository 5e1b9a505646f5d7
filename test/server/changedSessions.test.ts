import { expect, it } from 'vitest'
import { LongPollPeer, post } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { publishAndArrive } from '../support/barriers.ts'
import { startRedis } from '../support/redis.ts'
import { startServer } from '../support/server.ts'
import { tcpProxy } from '../support/tcpProxy.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'
import { WebSocketPeer } from '../support/webSocketPeer.ts'

const redis = tidy(await startRedis())

/**
 * Two nodes, and a session with one channel whose last two polls were on the first node. So this node serves the next polls without
 * asking Redis. It reaches Redis through `address`.
 */
async function knownSession({ address = `127.0.0.1:${redis.port}` } = {}) {
  const options = {
    timeout: 60_000,
    pollTime: 0,
    canConnect: () => ({ user: 'alice' }),
  }
  const here = tidy(await startServer({ ...options, redis: `redis://${address}` }))
  const there = tidy(await startServer({ ...options, redis: redis.url }))
  const channel = channelName()
  const alice = new LongPollPeer(here)
  await alice.auth({ __v: 1 })
  await alice.subscribe(channel)
  for (const body of ['1', '2']) {
    await publishAndArrive(here, channel, [body])
    expect((await alice.next()).body).toBe(body)
  }
  const elsewhere = (message: object) => post(there.url, { ...message, __token: alice.token })
  return { here, there, channel, alice, elsewhere }
}

/** How many scripts Redis has run. */
async function scriptsRun(): Promise<number> {
  const stats = await redis.cli('INFO', 'commandstats')
  const calls = [...stats.matchAll(/cmdstat_(?:eval|evalsha):calls=(\d+)/g)].map(([, count]) => Number(count))
  return calls.reduce((sum, count) => sum + count, 0)
}

it('a poll asks Redis for its session only from time to time', async () => {
  const { here, channel, alice } = await knownSession()
  const witness = await WebSocketPeer.connect(here)
  await witness.auth()
  await witness.subscribe(channel)
  const before = await scriptsRun()
  for (let i = 0; i < 30; i++) {
    await here.publish(channel, String(i))
    await witness.take(1)
    expect((await alice.next()).body).toBe(String(i))
  }
  expect((await scriptsRun()) - before).toBeLessThan(15)
})

it('a poll reads a channel that the session has got on another node', async () => {
  const { here, alice, elsewhere } = await knownSession()
  const other = channelName()
  expect((await elsewhere({ __type: 'subscribe', channel: other })).messages[0]!.__type).toBe('subscribeOk')
  await publishAndArrive(here, other, ['hello'])
  expect(await alice.next()).toMatchObject({ channel: other, body: 'hello' })
})

it('a poll that names a channel of which its node has not been told yet asks Redis', async () => {
  const proxy = tidy(await tcpProxy(redis.port))
  const { there, channel, alice, elsewhere } = await knownSession(proxy)
  const other = channelName()
  // The message to the node arrives after the poll.
  proxy.delay(1500, 'down')
  const { position } = (await elsewhere({ __type: 'subscribe', channel: other })).messages[0]!
  const answer = alice.poll({ positions: { ...alice.positions, [other]: position } })
  await publishAndArrive(there, channel, ['3'])
  const { messages } = await answer
  expect(messages).toContainEqual(expect.objectContaining({ __type: 'message', channel, body: '3' }))
  expect(messages.map(({ __type }) => __type)).not.toContain('unsubscribed')
})

it('a poll does not read a channel that the session has lost on another node', async () => {
  const { here, channel, alice, elsewhere } = await knownSession()
  await elsewhere({ __type: 'unsubscribe', channel })
  await publishAndArrive(here, channel, ['3'])
  expect((await alice.poll()).messages).toMatchObject([{ __type: 'unsubscribed', channel }])
})

it('a poll is told of a channel that another node has revoked', async () => {
  const { there, channel, alice } = await knownSession()
  await there.broadcaster.unsubscribe({ user: 'alice' }, channel)
  await toldOfRevocation(alice, channel)
})

it('a poll of a session that another node has ended is refused', async () => {
  const { there, alice } = await knownSession()
  await there.broadcaster.disconnect({ user: 'alice' })
  await until('a poll to be refused', async () => (await alice.poll()).status === 401)
})

it('a poll is told of a channel that was revoked while its node was disconnected from Redis', async () => {
  const proxy = tidy(await tcpProxy(redis.port))
  const { here, there, channel, alice } = await knownSession(proxy)
  proxy.refuse()
  proxy.cut()
  await until('the node to be disconnected', async () => (await fetch(`${here.url}/health`)).status === 503)
  await there.broadcaster.unsubscribe({ user: 'alice' }, channel)
  proxy.resume()
  await until('the node to be connected', async () => (await fetch(`${here.url}/health`)).ok)
  await toldOfRevocation(alice, channel)
})

/** A poll that arrives before the message of the other node is ended by this message, and answered with nothing. */
async function toldOfRevocation(alice: LongPollPeer, channel: string): Promise<void> {
  let messages: unknown[] = []
  await until('the client to be told', async () => {
    messages = (await alice.poll()).messages
    return messages.length > 0
  })
  expect(messages).toMatchObject([{ __type: 'unsubscribed', channel }])
}

it('a poll on another node replaces one that waits on a node that knows the session', async () => {
  const { here, channel, alice, elsewhere } = await knownSession()
  const waiting = alice.poll()
  const moved = elsewhere({ __type: 'poll', seq: 'moved' })
  expect((await waiting).messages).toEqual([])
  const back = alice.poll()
  expect((await moved).messages).toEqual([])
  await publishAndArrive(here, channel, ['3'])
  expect((await back).messages).toMatchObject([{ body: '3' }])
})
