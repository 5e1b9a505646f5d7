import { expect, it } from 'vitest'
import { inFull } from '../support/extent.ts'
import { kinds } from './kinds.ts'
import { runAbuse } from './run.ts'

// A short run of `npm run abuse`, and a longer one in CI.
const seconds = inFull(15, 4)

it(
  'abusers at all limits cost honest clients no message, memory stays below the documented bound, and is released afterwards',
  { timeout: 300_000 },
  async () => {
    const report = await runAbuse({ seconds, only: [] })
    // As one text, because Vitest shortens arrays.
    expect(report.breaches.join('\n'), report.output).toBe('')
    expect(report.deliveries).toBe(20 * report.published)
    expect(Object.keys(report.counts)).toEqual(Object.keys(kinds))
  },
)
