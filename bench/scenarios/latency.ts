import type { Scenario } from '../harness/scenario.ts'
import { bursts } from './bursts.ts'

export const latency: Scenario<{ name: string; sockets: number; rate: number; seconds: number }> = {
  name: 'latency',
  about: 'A steady 50 messages a second to 1,000 sockets of one channel: the latency of a message.',
  peers: bursts.peers,
  quickPeers: bursts.quickPeers!,
  columns: ['p99', 'p50', 'p999', 'max', 'cpuPerMillion', 'deliveriesPerSecond', 'generatorLoad'],
  cases: {
    smoke: [{ name: '50 msg/s x 50', sockets: 50, rate: 50, seconds: 0.5 }],
    quick: [{ name: '50 msg/s x 1,000', sockets: 1000, rate: 50, seconds: 4 }],
    full: [
      { name: '50 msg/s x 1,000', sockets: 1000, rate: 50, seconds: 15 },
      { name: '200 msg/s x 1,000', sockets: 1000, rate: 200, seconds: 10 },
    ],
  },
  async run(session, { sockets, rate, seconds }) {
    await session.open(sockets)
    const load = { channels: 1, fanOut: sockets, rate }
    await session.generator.call('steady', { ...load, seconds: session.warmSeconds })
    return session.measure(() => session.generator.call('steady', { ...load, seconds }))
  },
}
