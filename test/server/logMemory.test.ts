import { describe, expect, it } from 'vitest'
import { signIn } from '../support/connect.ts'
import { usedBytes } from '../support/heap.ts'
import type { LongPollPeer } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'

const MiB = 1024 * 1024
/** The memory of everything else in a run: inboxes, code, connections. */
const NOISE = 6 * MiB

const logBytes = async (server: TestServer) => (await server.broadcaster.stats()).node.logBytes

const channelNames = (count: number) => Array.from({ length: count }, () => channelName())

/** A channel has a log as long as a client is subscribed. */
async function subscribed(server: TestServer, channels: readonly string[]): Promise<void> {
  const peer = await signIn(server, { transport: 'longpoll', auth: { __v: 1 } })
  for (const channel of channels) await peer.subscribe(channel)
}

describe('a log that has expired', () => {
  // This runs first. The garbage of an earlier test would be collected meanwhile, and hide the memory that is measured here.
  it('releases the messages that have expired, also the last one of a channel and the last answer', async () => {
    const server = tidy(await startServer({ redis: false, pollTime: 1, recovery: { window: 1 } }))
    const channels = channelNames(20)
    const before = await usedBytes()
    for (const channel of channels) {
      const alice = (await signIn(server, { transport: 'longpoll' })) as LongPollPeer
      await alice.subscribe(channel)
      const answer = alice.poll()
      await server.publish(channel, channel.padEnd(900_000, 'x'))
      expect((await answer).messages).toHaveLength(1)
    }
    await until('all of it to have expired', async () => (await logBytes(server)) === 0)
    expect((await usedBytes()) - before).toBeLessThan(NOISE)
  })
})

describe('stats().node.logBytes is the memory that the logs take', async () => {
  // All cases share one server, which drops no messages, because freed memory would falsify the figures.
  const limits = { undeliveredBytes: 1 }
  const server = tidy(
    await startServer({ redis: false, timeout: 600_000, limits, recovery: { window: Infinity } }),
  )

  it.each([
    ['large messages', 8, 15, (i: number) => `${i}`.padEnd(900_000, 'x')],
    ['small messages', 8, 2000, (i: number) => `${i}`.padEnd(100, 'x')],
    ['empty messages', 20, 1500, () => ''],
    ['text that takes two bytes a character', 16, 60, (i: number) => `${i}`.padEnd(20_000, 'ж')],
    ['text with a single such character', 16, 60, (i: number) => `ж${i}`.padEnd(20_000, 'x')],
  ])('%s', async (_what, channelCount, messageCount, body) => {
    const channels = channelNames(channelCount)
    await subscribed(server, channels)
    const [before, toldBefore] = [await usedBytes(), await logBytes(server)]
    for (let i = 0; i < messageCount; i++) {
      for (const channel of channels) await server.publish(channel, body(i))
    }
    const used = (await usedBytes()) - before
    const told = (await logBytes(server)) - toldBefore
    expect(told).toBeGreaterThan(channelCount * 50_000)
    expect(told, 'the default of recovery.maxBytes').toBeLessThanOrEqual(channelCount * MiB)
    expect(used).toBeLessThan(told * 1.1 + NOISE)
  })
})
