import { expect, it } from 'vitest'
import { LongPollPeer, post } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { publishAndArrive } from '../support/barriers.ts'
import { startRedis } from '../support/redis.ts'
import { startServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'

const redis = tidy(await startRedis())

/** Two nodes, and a session with one channel whose last two polls were on the first node. So this node knows the session. */
async function knownSession() {
  const options = {
    redis: redis.url,
    timeout: 60_000,
    pollTime: 0,
    canConnect: () => ({ user: 'alice' }),
  }
  const here = tidy(await startServer(options))
  const there = tidy(await startServer(options))
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

it('a poll reads a channel that the session has got on another node', async () => {
  const { here, alice, elsewhere } = await knownSession()
  const other = channelName()
  expect((await elsewhere({ __type: 'subscribe', channel: other })).messages[0]!.__type).toBe('subscribeOk')
  await publishAndArrive(here, other, ['hello'])
  expect(await alice.next()).toMatchObject({ channel: other, body: 'hello' })
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
  expect((await alice.poll()).messages).toMatchObject([{ __type: 'unsubscribed', channel }])
})

it('a poll of a session that another node has ended is refused', async () => {
  const { there, alice } = await knownSession()
  await there.broadcaster.disconnect({ user: 'alice' })
  expect((await alice.poll()).status).toBe(401)
})

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
