import type { Scenario } from '../harness/scenario.ts'

type Case = { name: string; clients: number; rate: number; warmSeconds: number; seconds: number }

export const longpoll: Scenario<Case> = {
  name: 'longpoll',
  about: 'Long-poll clients of one channel, at 10 messages a second.',
  peers: ['broadcaster', 'broadcaster-polltime-0', 'socketio', 'socketio-local', 'nchan'],
  quickPeers: ['broadcaster', 'broadcaster-polltime-0', 'socketio', 'nchan'],
  columns: [
    'cpuPerMillion',
    'redisPerMillion',
    'pollsPerDelivery',
    'p50',
    'p99',
    'deliveriesPerSecond',
    'lost',
    'disorder',
  ],
  cases: {
    smoke: [{ name: '20 clients x 10 msg/s', clients: 20, rate: 10, warmSeconds: 0.5, seconds: 1.5 }],
    quick: [{ name: '500 clients x 10 msg/s', clients: 500, rate: 10, warmSeconds: 15, seconds: 5 }],
    full: [{ name: '500 clients x 10 msg/s', clients: 500, rate: 10, warmSeconds: 20, seconds: 10 }],
  },
  async run(session, { clients, rate, warmSeconds, seconds }) {
    const { generator, server, peer } = session
    await generator.call('openPolls', { port: server.port, dialect: peer.poll!, connections: clients })
    const load = { channels: 1, fanOut: clients, rate }
    // V8 has optimized the code of a poll only after about ten thousand polls, so the load runs longer before the measurement.
    await generator.call('steady', { ...load, seconds: warmSeconds })
    const { polls: before } = await generator.call('polls')
    let deliveries = 0
    const figures = await session.measure(async () => {
      const delivered = await generator.call('steady', { ...load, seconds })
      deliveries = delivered.deliveries
      return delivered
    })
    const { polls } = await generator.call('polls')
    return { ...figures, pollsPerDelivery: (polls - before) / deliveries }
  },
}
