import { describe, expect, it } from 'vitest'
import { channelName } from '../support/names.ts'
import { LongPollPeer, post } from '../support/longPollPeer.ts'
import { startRedis } from '../support/redis.ts'
import { roundRobin } from '../support/roundRobin.ts'
import { startServer } from '../support/server.ts'
import { tcpProxy } from '../support/tcpProxy.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'
import { numbers, Visitor } from './visitor.ts'

/** Two nodes, and a network in front of them that can lose what they say. */
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
    /** Runs `publish` and loses the answer that it makes the waiting poll get. */
    async loseAnswer(publish: () => Promise<unknown>) {
      network.stall('down')
      await publish()
      await until('the poll to be answered', async () => (await waitingPolls()) === 0)
      network.cut()
      network.resume()
    },
  }
}

describe('an answer that gets lost on its way', () => {
  it('L6, L8, M2: is read again, from another node, by our client', async () => {
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

  it("L6, M2: is read again by the original's, which repeats its seq and knows nothing of positions", async () => {
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

  it('S3: of subscribe, is asked for again, and nothing is missed or doubled meanwhile', async () => {
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
