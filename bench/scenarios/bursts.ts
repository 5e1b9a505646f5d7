import { flood } from '../harness/flood.ts'
import type { Scenario } from '../harness/scenario.ts'

export const bursts: Scenario<{ name: string; sockets: number }> = {
  name: 'bursts',
  about:
    'One channel, 32 messages in flight: the cost when messages arrive faster than the server writes them.',
  peers: [
    'broadcaster',
    'socketio',
    'socketio-local',
    'ws8',
    'express-ws',
    'nchan',
    'raw-write',
    'raw-batch',
  ],
  quickPeers: ['broadcaster', 'socketio', 'ws8', 'express-ws', 'nchan', 'raw-write', 'raw-batch'],
  columns: [
    'cpuPerMillion',
    'userPerMillion',
    'systemPerMillion',
    'deliveriesPerSecond',
    'rssMb',
    'generatorLoad',
  ],
  cases: {
    smoke: [{ name: '1 x 50', sockets: 50 }],
    quick: [{ name: '1 x 1,000', sockets: 1000 }],
    full: [
      { name: '1 x 1,000', sockets: 1000 },
      { name: '1 x 5,000', sockets: 5000 },
    ],
  },
  run: (session, { sockets }) => flood(session, { sockets, channels: 1, window: 32 }),
}
