import { expect, it } from 'vitest'
import { noticed, waitingPoll } from '../support/barriers.ts'
import { signIn } from '../support/connect.ts'
import { LongPollPeer, type Answer } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startRedis } from '../support/redis.ts'
import { startServer } from '../support/server.ts'
import type { Subject } from '../support/subject.ts'
import { tidy } from '../support/tidy.ts'
import { sleep } from '../support/waiting.ts'

/** Longer than the tests take between two messages, also on a slow machine. */
const POLL_TIME = 5000

const bodies = ({ messages }: Answer) => messages.map(({ body }) => body)

async function versioned(at: Subject, ...channels: string[]): Promise<LongPollPeer> {
  const peer = new LongPollPeer(at)
  await peer.auth({ __v: 1 })
  for (const channel of channels) await peer.subscribe(channel)
  return peer
}

it('L15: answers a lone message at once, and gathers those that come soon after the answer', async () => {
  const server = tidy(await startServer({ timeout: 60_000, pollTime: POLL_TIME }))
  const [one, other] = [channelName(), channelName()]
  const alice = await versioned(server, one, other)
  await server.publish(one, '1')
  expect((await alice.next()).body).toBe('1')
  const second = alice.poll()
  await server.publish(one, '2')
  await noticed(alice)
  await server.publish(other, '3')
  expect(bodies(await second)).toEqual(['2', '3'])
})

it('L15: on another node, a message that comes soon after the last one waits too', async () => {
  const redis = tidy(await startRedis())
  const options = { redis: redis.url, timeout: 60_000, pollTime: POLL_TIME }
  const [one, other] = [tidy(await startServer(options)), tidy(await startServer(options))]
  const channel = channelName()
  const alice = await versioned(one, channel)
  const witness = await signIn(other, { transport: 'websocket', auth: { __v: 1 } })
  await witness.subscribe(channel)
  const poll = await waitingPoll(alice)
  await one.publish(channel, '1')
  const { position } = (await poll.answer).messages[0]!
  expect((await witness.next()).body).toBe('1')
  const moved = new LongPollPeer(other)
  const next = moved.poll({ __token: alice.token, positions: { [channel]: position } })
  await one.publish(channel, '2')
  await sleep(100)
  await one.publish(channel, '3')
  expect(bodies(await next)).toEqual(['2', '3'])
})

it('L15: a message after a quiet time is answered at once, also if it came before the poll', async () => {
  const server = tidy(await startServer({ timeout: 120_000, pollTime: 60_000 }))
  const channel = channelName()
  const alice = await versioned(server, channel)
  await server.publish(channel, '1')
  expect(bodies(await alice.poll())).toEqual(['1'])
})

it('L15: does not gather until the log is full', async () => {
  const recovery = { maxMessages: 20 }
  const server = tidy(await startServer({ timeout: 200_000, pollTime: 100_000, recovery }))
  const channel = channelName()
  const alice = await versioned(server, channel)
  await server.publish(channel, '0')
  expect((await alice.next()).body).toBe('0')
  const poll = alice.poll()
  for (let i = 1; i <= 15; i++) {
    await server.publish(channel, String(i))
    if (i < 3) await noticed(alice)
  }
  const heard = bodies(await poll)
  expect(heard.length).toBeGreaterThan(5)
  expect(heard).toEqual(heard.map((_, i) => String(i + 1)))
})
