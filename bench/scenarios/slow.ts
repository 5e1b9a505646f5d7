import { setTimeout as sleep } from 'node:timers/promises'
import type { Scenario } from '../harness/scenario.ts'

type SlowCase = { name: string; fast: number; slow: number; rate: number; bodyBytes: number; seconds: number }

export const slow: Scenario<SlowCase> = {
  name: 'slow',
  about:
    'Fast readers, and some that stop reading: the latency of the fast ones, and the memory that the stopped ones cost.',
  peers: ['broadcaster', 'socketio', 'ws8', 'nchan', 'raw-write'],
  columns: ['rssGrowthMb', 'p50', 'p99', 'p999', 'cpuPerMillion', 'gaps', 'cutOff', 'lost'],
  cases: {
    smoke: [{ name: '20 + 5 stalled', fast: 20, slow: 5, rate: 50, bodyBytes: 8192, seconds: 1 }],
    quick: [{ name: '100 + 20 stalled', fast: 100, slow: 20, rate: 100, bodyBytes: 32_768, seconds: 6 }],
    full: [{ name: '100 + 20 stalled', fast: 100, slow: 20, rate: 100, bodyBytes: 32_768, seconds: 10 }],
  },
  async run(session, { fast, slow: stalled, rate, bodyBytes, seconds }) {
    const { generator, server, peer } = session
    await session.open(fast)
    const target = { port: server.port, dialect: peer.dialect, channels: 1 }
    await generator.call('open', 'slow', { ...target, connections: stalled })
    await generator.call('body', bodyBytes)
    const load = { channels: 1, fanOut: fast, rate }
    await generator.call('steady', { ...load, seconds: session.warmSeconds })
    await generator.call('pause', 'slow')

    const rssBefore = server.rss()
    let peak = rssBefore
    const sampler = setInterval(() => (peak = Math.max(peak, server.rss())), 200)
    const figures = await session.measure(() => generator.call('steady', { ...load, seconds }))
    clearInterval(sampler)

    // The slow readers have to read again to notice that the server has closed them or sent a gap.
    await generator.call('resume', 'slow')
    await sleep(Math.min(2000, seconds * 1000))
    const { gaps, lost: cutOff } = await generator.call('state', 'slow')
    return { ...figures, rssGrowthMb: (peak - rssBefore) / 1e6, gaps, cutOff }
  },
}
