import { command, Output, sum, type Counts } from './command.ts'
import { getWhatTestsNeed } from './needs.ts'
import { inFull, leftOut } from '../support/extent.ts'
import { vitest } from './vitest.ts'

/**
 * `npm test` runs all steps, and `npm test -- lint tests` only the named ones. The end of the output lists every skipped test with
 * what it needs. The last line has the number of steps and tests: `N passed, N failed`.
 */

interface Step {
  readonly name: string
  readonly run: (output: Output) => Promise<Counts>
}

/**
 * The steps of one lane run one after the other, and the lanes run at the same time, because most tests wait most of the time. The
 * output of the last lane is shown at once, and that of the others after each step.
 */
const lanes: readonly (readonly Step[])[] = [
  [
    {
      name: 'format',
      run: (output) => command(output, 'npx', ['oxfmt', '--check']),
    },
    { name: 'lint', run: (output) => command(output, 'npm', ['run', 'lint', '--silent']) },
    {
      name: 'types',
      // Each checker checks the declarations of other packages again, and there is no idle core for them.
      run: (output) => command(output, 'npm', ['run', 'types', '--silent', '--', '--checkers', '1']),
    },
    { name: 'packages', run: (output) => vitest(output, ['packages']) },
  ],
  [{ name: 'browser', run: (output) => vitest(output, ['browser']) }],
  [
    {
      name: 'tests',
      run: (output) => vitest(output, ['node', 'node alone', 'react 19', ...inFull(['react 18'], [])]),
    },
  ],
]
const needy = ['packages', 'browser', 'tests']

process.exitCode = await main(process.argv.slice(2))

async function main(names: string[]): Promise<number> {
  const known = lanes.flat().map(({ name }) => name)
  const unknown = names.filter((name) => !known.includes(name))
  if (unknown.length > 0) {
    console.error(`No such step: ${unknown.join(', ')}. There are ${known.join(', ')}.`)
    return 1
  }
  // CI runs the steps one after the other, because nobody is there to repeat a test that timed out beside other steps.
  const chosen = inFull([lanes.flat()], lanes)
    .map((lane) => lane.filter(({ name }) => names.length === 0 || names.includes(name)))
    .filter((lane) => lane.length > 0)
  if (chosen.flat().some(({ name }) => needy.includes(name)) && !getWhatTestsNeed()) return 1

  const all = await Promise.all(chosen.map((lane) => runLane(lane, lane === chosen.at(-1))))
  const { passed, failed, skipped = [] } = sum(all)
  if (skipped.length > 0) console.log(['\nSkipped:', ...skipped].join('\n  '))
  if (names.length === 0 && leftOut !== '') console.log(`\n${leftOut}`)
  console.log(`\n${passed} passed, ${failed} failed`)
  return failed === 0 ? 0 : 1
}

async function runLane(lane: readonly Step[], isLive: boolean): Promise<Counts> {
  const all: Counts[] = []
  for (const { name, run } of lane) {
    if (isLive) console.log(`\n== ${name}`)
    const output = new Output(isLive)
    const start = performance.now()
    const counts = await run(output)
    const seconds = ((performance.now() - start) / 1000).toFixed(1)
    if (!isLive) console.log(`\n== ${name}\n${output.text.trimEnd()}`)
    console.log(`== ${name}: ${counts.failed === 0 ? 'ok' : 'FAILED'} (${seconds} s)`)
    all.push(counts)
  }
  return sum(all)
}
