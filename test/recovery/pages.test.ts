import type { BroadcasterOptions } from '@broadcaster/server'
import { describe, expect, it } from 'vitest'
import { BEACONS_PER_MS, earlierThan } from '../support/beacons.ts'
import { signIn } from '../support/connect.ts'
import type { Wire } from '../support/inbox.ts'
import { channelName } from '../support/names.ts'
import { startRedis } from '../support/redis.ts'
import { startServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'
import { pretend, type Control } from './controlTraffic.ts'

interface Situation {
  readonly options?: BroadcasterOptions
  /** The last message that the other node has. */
  readonly last?: (start: string) => string
  /** What the other node publishes before it sends the page. */
  readonly first?: readonly string[]
}

/** A client subscribes from an earlier position. Another node says that it has the messages, and sends the page that `page` returns. */
async function recoverWith(
  page: (asked: Control, start: string) => object | null,
  { options = {}, last: lastAfter = (start) => start.replace(/\d+$/, '4'), first = [] }: Situation = {},
) {
  const redis = tidy(await startRedis())
  const late = tidy(await startServer({ redis: redis.url, ...options }))
  const come = () => signIn(late, { transport: 'websocket', auth: { __v: 1 } })
  const channel = channelName()
  const start = earlierThan((await (await come()).subscribe(channel))['position'] as string)
  const last = lastAfter(start)
  const asked: Control[] = []
  const { subscriber, publisher } = await pretend(redis.url, (message, say) => {
    if (message.type === 'where') void say({ type: 'whereIs', channels: [[0, start, last, false]] })
    if (message.type !== 'getPage') return
    asked.push(message)
    for (const body of first) void publisher.publish(channel, body)
    const sent = page(message, start)
    if (sent !== null) void say({ type: 'page', start: null, count: 0, needs: 0, entries: [], ...sent })
  })
  await subscriber.subscribe('broadcaster', 'bc:members:broadcaster', channel)
  let answer: Wire
  // As our client does, it repeats a request for which the time was too short.
  do answer = await (await come()).subscribe(channel, { position: start })
  while (answer.__type === 'serverError')
  return { answer, asked }
}

describe('a page of another node', () => {
  const whole = ['a', 'b', 'c', 'd']
  it.each([
    ['is accepted if it is complete', whole, 4, true],
    ['is not accepted without its first message', whole.with(0, ''), 4, false],
    ['is not accepted without a message in the middle', whole.with(1, ''), 4, false],
    ['is not accepted without its last message', whole.with(3, ''), 4, false],
    ['is not accepted without a message in the middle that it does not count', whole.with(1, ''), 3, false],
    ['is not accepted if it is empty', ['', '', '', ''], 4, false],
  ] as const)('R5: %s', async (_, bodies, count, isTaken) => {
    const { answer } = await recoverWith((_asked, start) => {
      const [beacon] = start.split('.')
      const entries = bodies.flatMap((text, i) => (text === '' ? [] : [[`${beacon}.${i + 1}`, text, 0]]))
      return { start, count, entries }
    })
    expect(answer).toMatchObject({ recovered: isTaken })
    if (isTaken) expect((answer['messages'] as [string][]).map(([body]) => body)).toEqual(whole)
  })

  it.each([
    ['is accepted if it is complete', ['1.1', '1.2', '2.1', '2.2'], true],
    ['is not accepted without the first message after a beacon', ['1.1', '1.2', '2.2'], false],
    ['is not accepted if messages are not in order', ['1.1', '2.1', '1.1', '2.1', '2.2'], false],
  ] as const)('R5: with messages after two beacons %s', async (_, places, isTaken) => {
    const placeIn = (start: string) => (place: string) => {
      const [nth, count] = place.split('.')
      const beacon = Number.parseInt(start, 36) + (Number(nth) - 1) * BEACONS_PER_MS
      return `${beacon.toString(36)}.${count}`
    }
    const { answer } = await recoverWith(
      (_asked, start) => {
        const entries = places.map((place) => [placeIn(start)(place), place, 0])
        return { start, count: entries.length, entries }
      },
      { last: (start) => placeIn(start)('2.2') },
    )
    expect(answer).toMatchObject({ recovered: isTaken })
    if (isTaken) expect((answer['messages'] as [string][]).map(([body]) => body)).toEqual(places)
  })

  it('R5: is not asked for again if it needs no more bytes than it might have had', async () => {
    const { answer, asked } = await recoverWith(({ bytes }) => ({ needs: bytes }))
    expect(answer).toMatchObject({ recovered: false })
    expect(asked).toHaveLength(1)
  })

  it('R5: is not waited for without end if it does not come', async () => {
    const { answer } = await recoverWith(() => null)
    expect(answer).toMatchObject({ recovered: false })
  })

  it('R5: is not accepted if the node has dropped the messages that come after it, meanwhile', async () => {
    const { answer } = await recoverWith(
      (_asked, start) => {
        const [beacon] = start.split('.')
        return { start, count: 4, entries: whole.map((text, i) => [`${beacon}.${i + 1}`, text, 0]) }
      },
      {
        options: { recovery: { maxMessages: 3 }, limits: { undeliveredBytes: 1000 } },
        first: Array.from({ length: 50 }, (_, i) => JSON.stringify({ i, padding: '.'.repeat(100) })),
      },
    )
    expect(answer).toMatchObject({ recovered: false, reason: 'overflow' })
  })

  it('R5: is asked for again with the bytes that it needs', async () => {
    const needs = 300_000
    const { answer, asked } = await recoverWith(({ bytes }) => ({ needs: bytes === needs ? 0 : needs }))
    expect(answer).toMatchObject({ recovered: false })
    expect(asked.map(({ bytes }) => bytes)).toEqual([expect.any(Number), needs])
  })
})

it('a node that is asked for a page from before its first message sends an empty one', async () => {
  const redis = tidy(await startRedis())
  const holder = tidy(await startServer({ redis: redis.url }))
  const alice = await signIn(holder, { transport: 'websocket', auth: { __v: 1 } })
  const channel = channelName()
  const { position } = await alice.subscribe(channel)
  await holder.publish(channel, 'hello')
  await alice.next()
  const heard: Control[] = []
  const { node, publisher } = await pretend(redis.url, (message) => heard.push(message))
  const { id } = (await holder.broadcaster.stats()).node
  const before = earlierThan(position as string)
  const query = { v: 1, type: 'getPage', id: 1, node, channel, after: '', before, bytes: 1000 }
  await publisher.publish(`bc:node:${id}`, JSON.stringify(query))
  await until('the page', () => heard.some(({ type }) => type === 'page'))
  expect(heard.find(({ type }) => type === 'page')).toMatchObject({ count: 0, entries: [] })
})
