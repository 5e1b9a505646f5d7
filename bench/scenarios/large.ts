import type { Scenario } from '../harness/scenario.ts'
import { measureFlood } from '../harness/flood.ts'

export const large: Scenario<{ name: string; sockets: number; bodyBytes: number }> = {
  name: 'large',
  about:
    'Messages of 100 KB, four in flight: plain, compressed once for all sockets, and compressed for each socket.',
  peers: ['broadcaster', 'broadcaster-deflate', 'ws8', 'ws8-deflate', 'socketio', 'raw-write'],
  columns: [
    'cpuPerMillion',
    'userPerMillion',
    'systemPerMillion',
    'deliveriesPerSecond',
    'compressedShare',
    'rssMb',
  ],
  cases: {
    smoke: [{ name: '100 KB x 5', sockets: 5, bodyBytes: 100_000 }],
    quick: [{ name: '100 KB x 100', sockets: 100, bodyBytes: 100_000 }],
    full: [{ name: '100 KB x 100', sockets: 100, bodyBytes: 100_000 }],
  },
  async run(session, { sockets, bodyBytes }) {
    const { generator } = session
    await session.open(sockets)
    await generator.call('body', bodyBytes)
    const figures = await measureFlood(session, { sockets, channels: 1, window: 4 })
    const { deflated } = await generator.call('state', 'main')
    return { ...figures, compressedShare: deflated / sockets }
  },
}
