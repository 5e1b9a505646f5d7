import { Redis } from 'ioredis'
import { setTimeout as sleep } from 'node:timers/promises'
import { channelName } from '../generator/channels.ts'
import { messageFiguresOf, trafficOf } from '../harness/redisTraffic.ts'
import type { Scenario } from '../harness/scenario.ts'

type CopiesCase = { name: string; nodes: number; channels: number; seconds: number }

/** All copies are made within this time. */
const COPYING_MS = 5000

const caseOf = (nodes: number, channels: number, seconds: number): CopiesCase => ({
  name: `${channels.toLocaleString('en-US')} channels, ${nodes} nodes`,
  nodes,
  channels,
  seconds,
})

export const copies: Scenario<CopiesCase> = {
  name: 'copies',
  about:
    'What `recovery: { copies: 2 }` costs Redis. One of the nodes has a client for each channel. Per subscription: from the first ' +
    'one until 5 s after the last one, so it includes the copies. Per message: 1,000 messages of 100 bytes a second.',
  peers: ['broadcaster', 'broadcaster-copies'],
  columns: [
    'redisBytesPerSubscribe',
    'redisCpuUsPerSubscribe',
    'publishesPerSubscribe',
    'redisBytesPerSecond',
    'redisBytesPerMessage',
    'redisCpuUsPerMessage',
  ],
  cases: {
    smoke: [caseOf(2, 50, 0.5)],
    quick: [caseOf(3, 1000, 5)],
    full: [caseOf(3, 1000, 10), caseOf(3, 5000, 10), caseOf(8, 1000, 10)],
  },
  async run(session, { nodes, channels, seconds }) {
    for (let node = 1; node < nodes; node++) await session.server.startAnotherNode()
    const redis = new Redis(session.redisUrl)
    try {
      const before = await trafficOf(redis)
      await session.open(channels, channels)
      await sleep(COPYING_MS)
      const copied = await trafficOf(redis)
      await sleep(1000 * seconds)
      const after = await trafficOf(redis)
      const names = Array.from({ length: channels }, (_, i) => channelName(i))
      return {
        redisBytesPerSubscribe: (copied.sent - before.sent) / channels,
        redisCpuUsPerSubscribe: (copied.cpuUs - before.cpuUs) / channels,
        publishesPerSubscribe: (copied.publishes - before.publishes) / channels,
        redisBytesPerSecond: (after.sent - copied.sent) / seconds,
        ...(await messageFiguresOf(redis, names, seconds)),
      }
    } finally {
      redis.disconnect()
    }
  },
}
