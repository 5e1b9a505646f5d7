import { describe, expect, it } from 'vitest'
import type { Report } from './report.ts'
import { runChaos } from './run.ts'

// Short runs of `npm run chaos`: every kind of fault that needs no long wait, once.
const TIMEOUT_MS = 240_000
const small = { minutes: 0, nodes: 3, clients: 24, channels: 6, rate: 60, longestStallMs: 1000 }

describe('every message once, in order, or an honest gap', () => {
  it(
    'R5, M1, M2: nodes killed and drained, links and sockets broken, Redis restarted: gaps are told only of what no node saw',
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
      expectPromiseKept(report)
      expect(report.gapsUncovered).toBeGreaterThan(0)
      expect(Object.keys(report.faults)).toEqual(expect.arrayContaining(faults))
    },
  )

  it('R5, R8: so it is when a Sentinel changes the master', { timeout: TIMEOUT_MS }, async () => {
    const only = ['master killed']
    const report = await runChaos({ ...small, nodes: 2, scenario: 'sentinel', seed: 3, only })
    expectPromiseKept(report)
    expect(report.gapsUncovered).toBeGreaterThan(0)
  })

  it(
    'R5, M2: a rolling restart of two nodes under 500 messages a second loses, doubles and misses nothing',
    { timeout: TIMEOUT_MS },
    async () => {
      const report = await runChaos({ ...small, nodes: 2, rate: 500, scenario: 'rolling', seed: 4 })
      expectPromiseKept(report)
      expect(report.gapsUncovered).toBe(0)
      expect(report.faults).toEqual({ 'node restarted (SIGTERM)': 2 })
    },
  )
})

function expectPromiseKept(report: Report): void {
  expect(report.breaches).toEqual([])
  expect(report).toMatchObject({ lost: 0, duplicated: 0, outOfOrder: 0, gapsCovered: 0 })
  expect(report.deliveries).toBeGreaterThan(report.messages)
}
