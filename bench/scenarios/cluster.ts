import { flood } from '../harness/flood.ts'
import type { Scenario } from '../harness/scenario.ts'

export const cluster: Scenario<{ name: string; sockets: number }> = {
  name: 'cluster',
  about:
    'One process compared with one process for each core, on one port with node:cluster, one message at a time. Generator and ' +
    'Redis use the same cores.',
  peers: ['broadcaster', 'broadcaster-cluster'],
  columns: ['deliveriesPerSecond', 'serverLoad', 'generatorLoad', 'cpuPerMillion', 'rssMb'],
  cases: {
    smoke: [{ name: '1 x 50', sockets: 50 }],
    quick: [{ name: '1 x 1,000', sockets: 1000 }],
    full: [{ name: '1 x 1,000', sockets: 1000 }],
  },
  run: (session, { sockets }) => flood(session, { sockets, channels: 1, window: 1 }),
}
