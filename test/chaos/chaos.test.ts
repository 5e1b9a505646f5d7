import { describe, expect, it } from 'vitest'
import { inFull } from '../support/extent.ts'
import type { Report } from './report.ts'
import { runChaos } from './run.ts'

// Short runs of `npm run chaos`, with every kind of fault that needs no long wait. CI has more clients and messages.
const TIMEOUT_MS = 240_000
const load = inFull({ clients: 24, rate: 60 }, { clients: 12, rate: 30 })
/** Messages a second while nodes are restarted. */
const restartRate = inFull(500, 200)
const small = { minutes: 0, nodes: 3, channels: 6, longestStallMs: 1000, ...load }

describe('every message arrives once, in order, or the client is told of a gap', () => {
  it(
    'R5, M1, M2: when nodes are killed and drained, links break and Redis restarts, gaps are only for messages that no node received',
    { timeout: TIMEOUT_MS },
    async () => {
      const faults = [
        'node killed (kill -9)',
        'node drained (SIGTERM)',
        'CLIENT KILL of one subscriber',
        'output buffer overrun of one node',
        'link to Redis cut',
        'Redis restarted (kill -9, empty)',
        'CLIENT KILL of all subscribers',
        'output buffer overrun of all nodes',
      ]
      const report = await runChaos({ ...small, scenario: 'all', seed: 1, only: faults })
      expectGuaranteeKept(report)
      expect(report.gapsUncovered).toBeGreaterThan(0)
      expect(Object.keys(report.faults)).toEqual(expect.arrayContaining(faults))
    },
  )

  it('R5, R8: when a Sentinel changes the master', { timeout: TIMEOUT_MS }, async () => {
    const only = ['master killed']
    const report = await runChaos({ ...small, nodes: 2, scenario: 'sentinel', seed: 3, only })
    expectGuaranteeKept(report)
    expect(report.gapsUncovered).toBeGreaterThan(0)
  })

  it(
    'R10, R5, M2: with two copies, and each of three nodes killed while its clients have channels of their own, without any gap',
    { timeout: TIMEOUT_MS },
    async () => {
      const report = await runChaos({ ...small, scenario: 'copies', seed: 5, minutes: 0.1 })
      expectGuaranteeKept(report)
      expect(report.gapsUncovered).toBe(0)
    },
  )

  it(
    `R5, M2: and without any gap during a rolling restart of two nodes with ${restartRate} messages a second`,
    { timeout: TIMEOUT_MS },
    async () => {
      const report = await runChaos({ ...small, nodes: 2, rate: restartRate, scenario: 'rolling', seed: 4 })
      expectGuaranteeKept(report)
      expect(report.gapsUncovered).toBe(0)
      expect(report.faults).toEqual({ 'node restarted (SIGTERM)': 2 })
    },
  )
})

function expectGuaranteeKept(report: Report): void {
  expect(report.breaches).toEqual([])
  expect(report).toMatchObject({ lost: 0, duplicated: 0, outOfOrder: 0, gapsCovered: 0 })
  expect(report.deliveries).toBeGreaterThanOrEqual(report.messages)
}
