import { flood } from '../harness/flood.ts'
import type { Scenario } from '../harness/scenario.ts'

type GrowthCase = { name: string; sockets: number; channels: number; window: number }

/** One message at a time, so that the cost of a delivery is compared, without coalescing. */
const sockets = (count: number): GrowthCase => ({
  name: `1 x ${count.toLocaleString('en-US')}`,
  sockets: count,
  channels: 1,
  window: 1,
})

/** Fewer messages in flight than channels, for the same reason. With up to 16 channels, messages are still coalesced. */
const channels = (count: number): GrowthCase => ({
  name: `${count.toLocaleString('en-US')} x 1`,
  sockets: count,
  channels: count,
  window: 16,
})

export const growth: Scenario<GrowthCase> = {
  name: 'growth',
  about:
    'The same load on more and more sockets of one channel, and on more and more channels with one socket each.',
  peers: ['broadcaster', 'ws8', 'raw-write'],
  columns: ['cpuPerMillion', 'userPerMillion', 'systemPerMillion', 'deliveriesPerSecond', 'rssMb'],
  cases: {
    smoke: [sockets(10), sockets(50), channels(2), channels(50)],
    quick: [sockets(100), sockets(1000), channels(100), channels(1000)],
    full: [
      sockets(100),
      sockets(300),
      sockets(1000),
      sockets(3000),
      sockets(10_000),
      channels(1),
      channels(10),
      channels(100),
      channels(1000),
      channels(10_000),
    ],
  },
  point: (options) =>
    options.channels === 1 && options.window === 1
      ? { line: 'sockets of one channel', x: options.sockets }
      : { line: 'channels of one socket', x: options.channels },
  run: (session, options) => flood(session, options),
}
