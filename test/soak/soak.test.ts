import { expect, it } from 'vitest'
import { inFull } from '../support/extent.ts'
import { neighbourNames } from './neighbours.ts'
import { runSoak } from './run.ts'

// A short run of `npm run soak`, and a longer one in CI. `SOAK_SEED=n` makes other attacks, or repeats those of a failed run.
const seed = Number(process.env['SOAK_SEED'] ?? 1)

it(
  'requests, frames, resets and half-open sockets do not end the process, delay no healthy client, and leave nothing behind',
  { timeout: 300_000 },
  async () => {
    const report = await runSoak({
      seed,
      ...inFull({ seconds: 8, warmUpSeconds: 4 }, { seconds: 3, warmUpSeconds: 2 }),
      leastConnections: 101,
      concurrency: 12,
      neighbours: neighbourNames,
    })
    expect(report.breaches, `seed ${seed}\n${report.evidence}`).toEqual([])
    expect(report.deliveries).toBeGreaterThan(report.published)
    expect(report.connections).toBeGreaterThan(100)
  },
)
