import { describe, expect, it } from 'vitest'
import { signIn } from '../support/connect.ts'
import { channelName } from '../support/names.ts'
import { LongPollPeer, post } from '../support/longPollPeer.ts'
import { startRedis } from '../support/redis.ts'
import { roundRobin } from '../support/roundRobin.ts'
import { startServer } from '../support/server.ts'
import { tcpProxy } from '../support/tcpProxy.ts'
import { tidy } from '../support/tidy.ts'
import { sleep, until } from '../support/waiting.ts'
import { numbers, Visitor } from './visitor.ts'

/** Two nodes, with a network in front of them that can lose their answers. */
async function start() {
  const redis = tidy(await startRedis())
  const nodes = [tidy(await startServer({ redis: redis.url })), tidy(await startServer({ redis: redis.url }))]
  const balancer = tidy(await roundRobin(nodes.map(({ origin }) => origin)))
  const network = tidy(await tcpProxy(balancer.port))
  const waitingPolls = async () => {
    const stats = await Promise.all(nodes.map(({ broadcaster }) => broadcaster.stats()))
    return stats.reduce((sum, { node }) => sum + node.waitingPolls, 0)
  }
  return {
    url: `http://${network.address}/broadcast`,
    publish: nodes[0]!.publish,
    pollWaits: () => until('a poll to wait', async () => (await waitingPolls()) === 1),
    /** Runs `publish` and loses the answer that the waiting poll gets. */
    async loseAnswer(publish: () => Promise<unknown>) {
      network.stall('down')
      await publish()
      await until('the poll to be answered', async () => (await waitingPolls()) === 0)
      network.cut()
      network.resume()
    },
  }
}

describe('a lost answer', () => {
  it('L6, L8, M2: to a poll of our client is sent again by another node', async () => {
    const { url, publish, pollWaits, loseAnswer } = await start()
    const channel = channelName()
    const alice = await Visitor.come(url, channel, { mode: 'longpoll' })
    let count = 0
    for (let round = 0; round < 5; round++) {
      await pollWaits()
      await loseAnswer(() => publish(channel, String(++count)))
      await publish(channel, String(++count))
      expect(await alice.hears(String(count))).toEqual(numbers(count))
    }
  })

  it('L6, M2: to a poll of the original client, which repeats its seq and has no positions, is sent again', async () => {
    const { url, publish, pollWaits, loseAnswer } = await start()
    const channel = channelName()
    const session = new LongPollPeer({ url, publish })
    await session.auth()
    await session.subscribe(channel)
    const poll = (seq: string) => post(url, { __type: 'poll', seq, __token: session.token })
    for (let round = 1; round <= 5; round++) {
      const seq = `round ${round}`
      const lost = poll(seq).catch(() => 'lost')
      await pollWaits()
      await loseAnswer(() => publish(channel, `lost in ${seq}`))
      expect(await lost).toBe('lost')
      const { messages } = await poll(seq)
      expect(messages).toEqual([{ __type: 'message', channel, body: `lost in ${seq}` }])
    }
  })

  it('S3: to subscribe makes the client subscribe again, and no message is missed or doubled', async () => {
    const { url, publish } = await start()
    const network = tidy(await tcpProxy(Number(new URL(url).port)))
    const channel = channelName()
    const alice = await Visitor.come(`http://${network.address}/broadcast`, channel, { mode: 'longpoll' })
    await publish(channel, '1')
    await alice.hears('1')
    const other = channelName()
    const heard: string[] = []
    network.stall('down')
    const subscription = alice.client.subscribe(other, (body) => void heard.push(body))
    await until('the network to have the answer', async () => network.connections > 1)
    network.cut()
    network.resume()
    await until('the other channel to be subscribed', () => subscription.status === 'subscribed')
    for (const body of numbers(3)) await publish(other, body)
    await until('what comes then', () => heard.at(-1) === '3')
    expect(heard).toEqual(numbers(3))
    await publish(channel, '2')
    expect(await alice.hears('2')).toEqual(numbers(2))
  })
})

describe('L5: a poll of the base, when its session polls on another node', () => {
  it.each([
    ['an empty answer if that is a new poll', '1', 200, []],
    [
      '503 if that is the same poll',
      '0',
      503,
      [{ __type: 'serverError', reason: 'The poll was sent again' }],
    ],
  ])('gets %s, also if its node learns of it late', async (_what, seq, status, messages) => {
    const redis = tidy(await startRedis())
    const link = tidy(await tcpProxy(redis.port))
    const pollTime = 500
    const slow = tidy(await startServer({ redis: redis.url, pubSub: `redis://${link.address}`, pollTime }))
    const other = tidy(await startServer({ redis: redis.url, pollTime }))
    const channel = channelName()
    // The other node already has the channel, so it does not ask other nodes when the session comes.
    const bob = await signIn(other, { transport: 'websocket' })
    await bob.subscribe(channel)
    const alice = new LongPollPeer(slow)
    await alice.auth()
    await alice.subscribe(channel)
    const poll = alice.poll({ seq: '0' })
    await until('the poll to wait', async () => (await slow.broadcaster.stats()).node.waitingPolls === 1)
    const witness = await signIn(slow, { transport: 'websocket' })
    await witness.subscribe(channel)
    await redis.cli('PUBLISH', channel, 'hello')
    await witness.next()
    link.stall('down')
    const next = await post(other.url, { __type: 'poll', seq, __token: alice.token })
    expect(next.messages).toEqual([{ __type: 'message', channel, body: 'hello' }])
    // By then, the older poll has tried to answer, because it has waited as long. It waits for the message of the other node.
    await sleep(200)
    link.resume()
    const { status: ended, messages: given } = await poll
    expect([ended, given]).toEqual([status, messages])
  })
})
