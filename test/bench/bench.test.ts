import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { checkBars } from '../../bench/harness/bars.ts'
import type { Sample } from '../../bench/harness/figures.ts'
import { planRuns } from '../../bench/harness/plan.ts'
import { scenarios } from '../../bench/scenarios/index.ts'
import { inFull } from '../support/extent.ts'

const run = promisify(execFile)
const bench = fileURLToPath(new URL('../../bench', import.meta.url))

function sample(peer: string, round: number, cpuPerMillion: number): Sample {
  return { scenario: 'bursts', case: '1 x 1,000', peer, round, figures: { cpuPerMillion } }
}

describe('the bench', () => {
  it('runs a scenario by its name and prints a table', async () => {
    const peers = inFull(['raw-write', 'ws8'], ['ws8'])
    const args = ['--import', 'tsx', 'main.ts', '--smoke', '--scenario', 'single']
    args.push(...peers.flatMap((peer) => ['--peer', peer]))
    const { stdout } = await run(process.execPath, args, { cwd: bench })
    expect(stdout).toMatch(/^ +CPU s \/ M .*deliveries\/s/m)
    for (const peer of peers) expect(stdout).toMatch(new RegExp(`^ +${peer} +\\d`, 'm'))
  }, 120_000)

  it('refuses an unknown name, and lists the known ones', async () => {
    const failure = await run(process.execPath, ['--import', 'tsx', 'main.ts', '--scenario', 'nonsense'], {
      cwd: bench,
    }).then(
      () => expect.unreachable('it ran'),
      (error: { code: number; stderr: string }) => error,
    )
    expect(failure.code).toBe(2)
    expect(failure.stderr).toMatch(/There is no scenario "nonsense".*bursts/)
  }, 120_000)

  it('runs the peers in reverse order in every other round', () => {
    const wanted = scenarios.filter(({ name }) => name === 'single')
    const steps = planRuns({
      scenarios: wanted,
      peers: ['ws8', 'raw-write', 'raw-batch'],
      rounds: 2,
      size: 'full',
    })
    const order = (round: number) => steps.filter((step) => step.round === round).map(({ peer }) => peer)
    expect(order(1)).toEqual(['ws8', 'raw-write', 'raw-batch'])
    expect(order(2)).toEqual(['raw-batch', 'raw-write', 'ws8'])
  })

  it('computes the ratio of a bar within each round in which both peers were measured', () => {
    // The machine was half as fast in the second round, for both.
    const samples = [
      sample('broadcaster', 1, 0.6),
      sample('raw-batch', 1, 0.5),
      sample('broadcaster', 2, 1.2),
      sample('raw-batch', 2, 1),
      sample('broadcaster', 3, 1),
    ]
    const [floor, ...others] = checkBars(samples)
    expect(others).toEqual([])
    expect(floor!.measured).toEqual({ median: 1.2, min: 1.2, max: 1.2, rounds: 2 })
    expect(floor!.isReached).toBe(true)
  })

  it('reports a bar that is not reached', () => {
    const samples = [sample('broadcaster', 1, 0.8), sample('raw-batch', 1, 0.5), sample('socketio', 1, 11.2)]
    expect(
      checkBars(samples).map(({ isReached, measured }) => [isReached, measured.median.toFixed(1)]),
    ).toEqual([
      [false, '1.6'],
      [false, '14.0'],
    ])
  })
})
