import { expect, it } from 'vitest'
import { LongPollPeer, post } from '../support/longPollPeer.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { startServer } from '../support/server.ts'
import { tcpProxy } from '../support/tcpProxy.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'

it('a subscribe that an unsubscribe on another node has overtaken is answered with 503, and changes nothing', async () => {
  const redis = tidy(await startRedis())
  const proxy = tidy(await tcpProxy(redis.port))
  const here = tidy(await startServer({ redis: redis.url, pubSub: `redis://${proxy.address}` }))
  const there = tidy(await startServer({ redis: redis.url }))
  const alice = new LongPollPeer(here)
  await alice.auth({ __v: 1 })
  // The node does not hear that Redis has subscribed it.
  proxy.stall('down')
  const answer = alice.post({ __type: 'subscribe', channel: 'news' })
  await until('the subscription at Redis', () => isSubscribed(redis))
  const request = { __type: 'unsubscribe', channel: 'news', __token: alice.token }
  expect((await post(there.url, request)).messages).toEqual([{ __type: 'unsubscribeOk', channel: 'news' }])
  proxy.resume()
  expect(await answer).toMatchObject({
    status: 503,
    messages: [{ __type: 'serverError', channel: 'news', reason: 'Unsubscribed meanwhile' }],
  })
  await alice.subscribe('chat')
  for (const channel of ['news', 'chat']) await there.publish(channel, 'hello')
  expect(await alice.next()).toMatchObject({ channel: 'chat', body: 'hello' })
})

it('A4: a channel that is taken away while Redis confirms it is subscribed after canSubscribe was asked again', async () => {
  const redis = tidy(await startRedis())
  const proxy = tidy(await tcpProxy(redis.port))
  let asked = 0
  const canSubscribe = () => (asked++, true)
  const here = tidy(await startServer({ redis: redis.url, pubSub: `redis://${proxy.address}`, canSubscribe }))
  const there = tidy(await startServer({ redis: redis.url }))
  const alice = new LongPollPeer(here)
  await alice.auth({ __v: 1 })
  proxy.stall('down')
  const answer = alice.subscribe('news')
  await until('the subscription at Redis', () => isSubscribed(redis))
  await there.broadcaster.unsubscribe('everyone', 'news')
  proxy.resume()
  expect(await answer).toMatchObject({ __type: 'subscribeOk', channel: 'news' })
  expect(asked).toBe(2)
})

async function isSubscribed(redis: TestRedis): Promise<boolean> {
  return (await redis.cli('PUBSUB', 'NUMSUB', 'news')).trim().endsWith('1')
}
