import { expect, it } from 'vitest'
import { neighbourNames } from './neighbours.ts'
import { runSoak } from './run.ts'

// A short run of `npm run soak`. `SOAK_SEED=n` makes other attacks, or repeats those of a failed run.
const seed = Number(process.env['SOAK_SEED'] ?? 1)

it(
  'requests, frames, resets and half-open sockets do not end the process, delay no healthy client, and leave nothing behind',
  { timeout: 300_000 },
  async () => {
    const report = await runSoak({
      seed,
      seconds: 8,
      leastConnections: 101,
      warmUpSeconds: 4,
      concurrency: 12,
      neighbours: neighbourNames,
    })
    expect(report.breaches, `seed ${seed}\n${report.evidence}`).toEqual([])
    expect(report.deliveries).toBeGreaterThan(report.published)
    expect(report.connections).toBeGreaterThan(100)
  },
)
