import { describe, expect, it, onTestFinished } from 'vitest'
import { signIn } from '../support/connect.ts'
import type { Wire } from '../support/inbox.ts'
import { channelName } from '../support/names.ts'
import { startNodeProcess } from '../support/nodeProcess.ts'
import { startRedis } from '../support/redis.ts'
import { startNodes, startServer } from '../support/server.ts'
import { transports } from '../support/subject.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'
import { numbers } from './visitor.ts'

const bodiesOf = (answer: Wire, field: 'history' | 'messages') =>
  ((answer[field] ?? []) as [string, string][]).map(([body]) => body)

describe.each(transports)(
  'H1, H2: the history of a channel that only another node has, over %s',
  (transport) => {
    it('has the newest messages, however often more of them are asked for', async () => {
      const redis = tidy(await startRedis())
      const cluster = tidy(await startNodes(2, { redis: redis.url }))
      const [one, other] = cluster.nodes
      const channel = channelName()
      const bob = await signIn(one!, { transport: 'websocket', auth: { __v: 2 } })
      await bob.subscribe(channel)
      for (const body of numbers(300)) await one!.publish(channel, body)
      await bob.take(300)
      const come = async (history: number) => {
        const alice = await signIn(other!, { transport, auth: { __v: 2 } })
        return bodiesOf(await alice.subscribe(channel, { history }), 'history')
      }
      expect(await come(5)).toEqual(numbers(300, 296))
      expect(await come(40)).toEqual(numbers(300, 261))
      expect(await come(1000)).toEqual(numbers(300))
    })

    it('is followed by every later message once, while many are published and nodes have full logs', async () => {
      const redis = tidy(await startRedis())
      const cluster = tidy(await startNodes(3, { redis: redis.url, recovery: { maxMessages: 50 } }))
      const channel = channelName()
      const bob = await signIn(cluster.nodes[0]!, { transport: 'websocket', auth: { __v: 2 } })
      await bob.subscribe(channel)
      let last = 0
      let isDone = false
      const publishing = (async () => {
        while (!isDone) await cluster.nodes[0]!.publish(channel, String(++last))
      })()
      onTestFinished(async () => {
        isDone = true
        await publishing
      })
      await bob.take(60)
      for (let round = 0; round < 12; round++) {
        const alice = await signIn(cluster.nodes[round % 3]!, { transport, auth: { __v: 2 } })
        const answer = await alice.subscribe(channel, { history: 10 })
        const history = bodiesOf(answer, 'history')
        const later: string[] = []
        while (later.length < 20) {
          const message = await alice.next()
          expect(message).toMatchObject({ __type: 'message' })
          later.push(message['body'] as string)
        }
        const all = [...history, ...later]
        expect(all).toEqual(numbers(Number(all.at(-1)), Number(all[0])))
        expect(history).toHaveLength(10)
        await alice.close()
      }
    })

    it('is not waited for if the other node does not answer', async () => {
      const redis = tidy(await startRedis())
      const frozen = tidy(await startNodeProcess({ redis: redis.url }))
      const node = tidy(await startServer({ redis: redis.url }))
      const channel = channelName()
      const bob = await signIn(frozen, { transport: 'websocket', auth: { __v: 2 } })
      await bob.subscribe(channel)
      await node.publish(channel, '1')
      await bob.next()
      frozen.pause()
      const alice = await signIn(node, { transport, auth: { __v: 2 } })
      const answer = await alice.subscribe(channel, { history: 5 })
      expect(answer).toMatchObject({ __type: 'subscribeOk', history: [] })
      frozen.resume()
      await node.publish(channel, '2')
      expect(await alice.next()).toMatchObject({ body: '2' })
      // The messages are there for the next one.
      const carol = await signIn(node, { transport, auth: { __v: 2 } })
      expect(
        await until('the other node to answer', async () => {
          await carol.unsubscribe(channel)
          const history = bodiesOf(await carol.subscribe(channel, { history: 5 }), 'history')
          return history.length === 2 && history
        }),
      ).toEqual(['1', '2'])
    })
  },
)
