import { flood } from '../harness/flood.ts'
import type { Scenario } from '../harness/scenario.ts'
import { bursts } from './bursts.ts'

export const single: Scenario<{ name: string; sockets: number }> = {
  name: 'single',
  about:
    'One channel, each message is published when the last one has reached all sockets: no message can be coalesced.',
  peers: bursts.peers,
  quickPeers: bursts.quickPeers!,
  columns: bursts.columns,
  cases: {
    smoke: [{ name: '1 x 50', sockets: 50 }],
    quick: [{ name: '1 x 1,000', sockets: 1000 }],
    full: [{ name: '1 x 1,000', sockets: 1000 }],
  },
  run: (session, { sockets }) => flood(session, { sockets, channels: 1, window: 1 }),
}
