import { flood } from '../harness/flood.ts'
import type { Scenario } from '../harness/scenario.ts'

type Load = { name: string; sockets: number; channels: number; window: number }

const loads: readonly Load[] = [
  { name: 'bursts 1 x 1,000', sockets: 1000, channels: 1, window: 32 },
  { name: 'single 1 x 1,000', sockets: 1000, channels: 1, window: 1 },
  { name: 'channels 1,000 x 1', sockets: 1000, channels: 1000, window: 256 },
]

export const metrics: Scenario<Load> = {
  name: 'metrics',
  about: 'The cost of metrics: the same server with prometheus(), scraped each second, and without.',
  peers: ['broadcaster', 'broadcaster-metrics'],
  columns: ['cpuPerMillion', 'userPerMillion', 'systemPerMillion', 'deliveriesPerSecond', 'rssMb'],
  cases: {
    smoke: [{ name: 'bursts 1 x 50', sockets: 50, channels: 1, window: 32 }],
    quick: loads,
    full: loads,
  },
  run: flood,
}
