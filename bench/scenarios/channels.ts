import { flood } from '../harness/flood.ts'
import type { Scenario } from '../harness/scenario.ts'
import { bursts } from './bursts.ts'

export const channels: Scenario<{ name: string; channels: number; window: number }> = {
  name: 'channels',
  about: 'A channel for each socket, 256 messages in flight: the cost of a message before the fan-out.',
  peers: bursts.peers,
  quickPeers: bursts.quickPeers!,
  columns: [
    'cpuPerMillion',
    'userPerMillion',
    'systemPerMillion',
    'redisPerMillion',
    'deliveriesPerSecond',
    'generatorLoad',
  ],
  cases: {
    smoke: [{ name: '50 x 1', channels: 50, window: 16 }],
    quick: [{ name: '1,000 x 1', channels: 1000, window: 256 }],
    full: [{ name: '1,000 x 1', channels: 1000, window: 256 }],
  },
  run: (session, options) =>
    flood(session, { sockets: options.channels, channels: options.channels, window: options.window }),
}
