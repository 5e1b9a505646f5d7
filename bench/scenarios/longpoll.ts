import { Redis } from 'ioredis'
import { trafficOf } from '../harness/redisTraffic.ts'
import type { Scenario } from '../harness/scenario.ts'

type LongPollCase = {
  readonly name: string
  readonly clients: number
  /** Messages a second. */
  readonly rate: number
  /** The load runs for this time before the measurement: V8 has optimized the code of a poll only after thousands of polls. */
  readonly warmSeconds: number
  readonly seconds: number
}

const casesOf = (clients: number, warmSeconds: number, seconds: number): LongPollCase[] => {
  const name = `${clients} clients x`
  return [
    { name: `${name} 10 msg/s`, clients, rate: 10, warmSeconds, seconds },
    {
      name: `${name} 10 msg/s, after 2 s`,
      clients,
      rate: 10,
      warmSeconds: Math.min(2, warmSeconds),
      seconds,
    },
    { name: `${name} 1 msg/s`, clients, rate: 1, warmSeconds, seconds: 2 * seconds },
  ]
}

export const longpoll: Scenario<LongPollCase> = {
  name: 'longpoll',
  about: 'Long-poll clients of one channel, at 10 messages a second and at one.',
  peers: ['broadcaster', 'broadcaster-polltime-0', 'socketio', 'socketio-local', 'nchan'],
  quickPeers: ['broadcaster', 'broadcaster-polltime-0', 'socketio', 'nchan'],
  columns: [
    'cpuPerMillion',
    'cpuUsPerPoll',
    'redisPerMillion',
    'scriptsPerPoll',
    'redisBytesPerPoll',
    'pollsPerDelivery',
    'p50',
    'p99',
    'deliveriesPerSecond',
    'lost',
    'disorder',
  ],
  cases: {
    smoke: casesOf(20, 0.5, 1.5),
    quick: casesOf(500, 15, 5),
    full: casesOf(500, 20, 10),
  },
  async run(session, { clients, rate, warmSeconds, seconds }) {
    const { generator, server, peer } = session
    await generator.call('openPolls', { port: server.port, dialect: peer.poll!, connections: clients })
    const load = { channels: 1, fanOut: clients, rate }
    await generator.call('steady', { ...load, seconds: warmSeconds })
    const redis = new Redis(session.redisUrl)
    try {
      const [before, trafficBefore] = await Promise.all([generator.call('polls'), trafficOf(redis)])
      let deliveries = 0
      const figures = await session.measure(async () => {
        const delivered = await generator.call('steady', { ...load, seconds })
        deliveries = delivered.deliveries
        return delivered
      })
      const [after, traffic] = await Promise.all([generator.call('polls'), trafficOf(redis)])
      const polls = after.polls - before.polls
      const bytes = traffic.received + traffic.sent - trafficBefore.received - trafficBefore.sent
      return {
        ...figures,
        cpuUsPerPoll: (figures.cpuPerMillion! * deliveries) / polls,
        scriptsPerPoll: (traffic.scripts - trafficBefore.scripts) / polls,
        redisBytesPerPoll: bytes / polls,
        pollsPerDelivery: polls / deliveries,
      }
    } finally {
      redis.disconnect()
    }
  },
}
