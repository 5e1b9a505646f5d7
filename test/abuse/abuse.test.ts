import { expect, it } from 'vitest'
import { kinds } from './kinds.ts'
import { runAbuse } from './run.ts'

// A short run of `npm run abuse`.
it(
  'abusers at all limits cost honest clients no message, memory stays below the documented bound, and is released afterwards',
  { timeout: 300_000 },
  async () => {
    const report = await runAbuse({ seconds: 15, only: [] })
    expect(report.breaches, report.output).toEqual([])
    expect(report.deliveries).toBe(20 * report.published)
    expect(Object.keys(report.counts)).toEqual(Object.keys(kinds))
  },
)
