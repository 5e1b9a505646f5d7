import { rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startRedis } from '../test/support/redis.ts'
import { buildServer } from './harness/build.ts'
import { figureTable, formatNumber, type Sample } from './harness/figures.ts'
import { peerNames, peers } from './harness/peers.ts'
import { planRuns, type Step } from './harness/plan.ts'
import { printScenario } from './harness/print.ts'
import { printProfile } from './harness/profile.ts'
import { Session, type Size } from './harness/session.ts'
import { quickScenarios, scenarios } from './scenarios/index.ts'

const help = `npm run bench -- [options]

  --scenario NAME   only this scenario, may be repeated: ${scenarios.map(({ name }) => name).join(', ')}
  --case TEXT       only cases whose name contains this, such as "1,000"
  --peer NAME       only this peer, may be repeated: ${peerNames.join(', ')}
  --rounds N        rounds of each measurement (1; with --full 3)
  --full            all scenarios and peers, at full size and length
  --smoke           all scenarios and peers, so small that the figures mean nothing
  --report          write results/*.json, results/index.html and results/*.svg
  --profile         run this kit's server with --cpu-prof, into profiles/, and print the functions with the most time
`

const { values } = parseArgs({
  options: {
    scenario: { type: 'string', multiple: true, default: [] },
    case: { type: 'string', default: '' },
    peer: { type: 'string', multiple: true, default: [] },
    rounds: { type: 'string' },
    full: { type: 'boolean', default: false },
    smoke: { type: 'boolean', default: false },
    report: { type: 'boolean', default: false },
    profile: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) {
  console.log(help)
  process.exit()
}

const size: Size = values.smoke ? 'smoke' : values.full ? 'full' : 'quick'
const usual = size === 'quick' ? scenarios.filter(({ name }) => quickScenarios.includes(name)) : scenarios
const chosen = choose(
  'scenario',
  values.scenario,
  scenarios.map(({ name }) => name),
).map((name) => scenarios.find((scenario) => scenario.name === name)!)
const steps = planRuns({
  scenarios: chosen.length === 0 ? usual : chosen,
  caseText: values.case,
  peers: choose('peer', values.peer, peerNames),
  rounds: Number(values.rounds ?? (size === 'full' ? 3 : 1)),
  size,
})

for (const peer of peerNames) {
  const reason = peers[peer].missing?.()
  if (reason !== undefined) console.error(`Left out: ${peer}, ${reason}`)
}
if (steps.some(({ peer }) => peers[peer].isOurs)) buildServer()

const samples: Sample[] = []
let failures = 0
for (const [index, step] of steps.entries()) {
  const label = `[${index + 1}/${steps.length}] ${step.scenario.name} ${step.options.name}, ${step.peer}, round ${step.round}`
  try {
    const sample = await run(step)
    samples.push(sample)
    const figure = step.scenario.columns.find((column) => sample.figures[column] !== undefined)!
    console.error(`${label}: ${formatNumber(sample.figures[figure]!)} ${figureTable[figure].label}`)
  } catch (error) {
    failures++
    console.error(`${label}: failed\n${(error as Error).stack}`)
  }
  if (steps[index + 1]?.scenario !== step.scenario) printScenario(step.scenario, samples, size)
}
if (values.report) {
  // It is imported here, because loading the charting library takes longer than a short run.
  const { writeReport } = await import('./report/report.ts')
  await writeReport(samples, size)
}
process.exit(failures === 0 ? 0 : 1)

/** Each run has a new Redis, server and generator, so that no run affects the next one. */
async function run({ scenario, options, peer, round }: Step): Promise<Sample> {
  const redis = await startRedis()
  const pid = Number(/process_id:(\d+)/.exec(await redis.cli('INFO', 'server'))![1])
  const profile =
    values.profile && peers[peer].isOurs ? profileFor(scenario.name, options.name, peer, round) : undefined
  try {
    const session = await Session.start({
      peer,
      size,
      profile,
      redis: { url: redis.url, port: redis.port, pid },
    })
    try {
      return {
        scenario: scenario.name,
        case: options.name,
        peer,
        round,
        figures: await scenario.run(session, options),
      }
    } finally {
      await session.end()
      if (profile !== undefined) printProfile(profile)
    }
  } finally {
    await redis.stop()
  }
}

function profileFor(...parts: (string | number)[]): string {
  const name = parts.join('-').replaceAll(/[^a-z0-9-]+/gi, '_')
  const directory = fileURLToPath(new URL(`profiles/${name}`, import.meta.url))
  rmSync(directory, { recursive: true, force: true })
  return directory
}

/** Returns the wanted names. If one is unknown, exits with an error that lists the known ones. */
function choose<Name extends string>(
  kind: string,
  wanted: readonly string[],
  known: readonly Name[],
): Name[] {
  return wanted.map((name) => {
    const found = known.find((one) => one === name)
    if (found !== undefined) return found
    console.error(`There is no ${kind} "${name}". There are: ${known.join(', ')}`)
    process.exit(2)
  })
}
