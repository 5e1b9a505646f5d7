import { expect, it } from 'vitest'
import { signIn } from '../support/connect.ts'
import { startRedis } from '../support/redis.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'
import { pretend, type Control } from './controlTraffic.ts'
import { copiesOn, copyingNode, holders, untilAnnounced, untilCopied } from './copying.ts'
import { numbers } from './visitor.ts'

/** A node that other nodes may ask for copies, and that answers as the test says, or not at all. */
async function pretendPartner(answer: (asked: Control) => object | null) {
  const redis = tidy(await startRedis())
  const asked: Control[] = []
  const late: (() => Promise<void>)[] = []
  const { node } = await pretend(redis.url, (message, say) => {
    if (message.type !== 'copy') return
    if ((message['hold'] as unknown[]).length > 0) asked.push(message)
    const answered = answer(message)
    const again = () => say({ type: 'copied', seq: message['seq'], state: 'done', refused: [], ...answered })
    if (answered === null) late.push(again)
    else void again()
  })
  await redis.cli('ZADD', 'bc:living:broadcaster', String(Number.MAX_SAFE_INTEGER), node)
  return { redis, asked, answerAll: () => Promise.all(late.map((say) => say())) }
}

const channelsOf = (asked: readonly Control[]) =>
  asked.flatMap(({ hold }) => (hold as [string, string][]).map(([name]) => name))

it('R10: a node that has lost a message about copies is asked again for all of them', async () => {
  const { redis, asked } = await pretendPartner(({ seq }) => ({ state: seq === 2 ? 'lost' : 'done' }))
  const holder = await copyingNode(redis)
  const alice = await signIn(holder, { transport: 'websocket' })
  await alice.subscribe('first')
  await untilCopied(holder, 1)
  await alice.subscribe('second')
  await until('the node to be asked again', () => asked.length === 3)
  expect(asked[1]).toMatchObject({ after: 1, hold: [['second', expect.any(String)]] })
  expect(asked[2]).toMatchObject({
    after: 0,
    hold: [
      ['first', expect.any(String)],
      ['second', expect.any(String)],
    ],
  })
  await untilCopied(holder, 2)
})

it('R10: a node that has not answered yet is asked for more, and keeps what it was asked for', async () => {
  const { redis, asked, answerAll } = await pretendPartner(() => null)
  const other = await copyingNode(redis)
  await untilAnnounced(redis, 2)
  const holder = await copyingNode(redis)
  const alice = await signIn(holder, { transport: 'websocket' })
  for (const round of [1, 2]) {
    // About half of them are for the node that does not answer. All at once, because after 5 s another node would be asked.
    for (const body of numbers(20)) await alice.send({ __type: 'subscribe', channel: `${round} ${body}` })
    await until('the nodes to be asked for all', async () => {
      const [others] = await copiesOn([other])
      return channelsOf(asked).length + others! === 20 * round
    })
  }
  await answerAll()
  await untilCopied(holder, 40)
  expect(asked.flatMap(({ drop }) => drop)).toEqual([])
  expect(await copiesOn([other])).toEqual([40 - channelsOf(asked).length])
})

it('R10: a node that will end is not asked again as long as there is another one', async () => {
  const { redis } = await pretendPartner(() => ({ state: 'leaving' }))
  const other = await copyingNode(redis)
  const holder = await copyingNode(redis)
  const alice = await signIn(holder, { transport: 'websocket' })
  // Half of them would be on the node that will end.
  for (const body of numbers(20)) await alice.subscribe(body)
  await untilCopied(holder, 20)
  expect(await copiesOn([other])).toEqual([20])
})

it('R10: a node that begins again with its copies does not hold those that it had before', async () => {
  const redis = tidy(await startRedis())
  const copy = await copyingNode(redis)
  const { id } = (await copy.broadcaster.stats()).node
  const answers: Control[] = []
  const { node, publisher } = await pretend(redis.url, (message) => answers.push(message))
  const ask = async (seq: number, after: number, hold: string) => {
    const message = { v: 1, type: 'copy', node, seq, after, hold: [[hold, '0-0']], drop: [] }
    await publisher.publish(`bc:node:${id}`, JSON.stringify(message))
    await until('an answer', () => answers.some((answer) => answer['seq'] === seq))
    return answers.at(-1)
  }
  expect(await ask(1, 0, 'first')).toMatchObject({ type: 'copied', state: 'done', refused: [] })
  expect(await ask(2, 1, 'second')).toMatchObject({ state: 'done' })
  expect(await copiesOn([copy])).toEqual([2])
  expect(await ask(4, 3, 'third'), 'there was a message 3').toMatchObject({ state: 'lost' })
  expect(await ask(5, 0, 'second')).toMatchObject({ state: 'done' })
  expect(await copiesOn([copy])).toEqual([1])
  // Another node gets the log from it.
  expect(await holders(redis, 'first')).toBe(1)
})
