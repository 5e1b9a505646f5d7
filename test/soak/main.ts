import { parseArgs } from 'node:util'
import { attackKinds, type AttackKind } from './attacks.ts'
import { neighbourNames, type NeighbourName } from './neighbours.ts'
import { table } from './report.ts'
import { runSoak } from './run.ts'

const help = `npm run soak -- [options]

Runs an application with several broadcasters and neighbours in its own process, healthy clients, and attackers, which make
requests, frames, resets and half-open sockets from a grammar. Ends with a table, and with an error if the process has ended, a
healthy client has missed a message, or sockets, sessions, channels or memory were not released.

  --minutes 10
  --seed N             repeat the attacks of this seed
  --from N             begin with the attack of this number
  --only KIND          only attacks whose kind contains this; may be given again
                       ${attackKinds.join(', ')}
  --concurrency 24     attackers at the same time
  --neighbours A,B     each on its own server: ${neighbourNames.join(', ')}
`

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    from: { type: 'string', default: '0' },
    only: { type: 'string', multiple: true },
    concurrency: { type: 'string', default: '24' },
    neighbours: { type: 'string', default: neighbourNames.join(',') },
    help: { type: 'boolean', default: false },
  },
})
const only = values.only && attackKinds.filter((kind) => values.only!.some((part) => kind.includes(part)))
const neighbours = values.neighbours.split(',')
const isKnown = neighbours.every((name) => (neighbourNames as string[]).includes(name)) && only?.length !== 0
if (values.help || !isKnown) {
  console.log(help)
  process.exit(values.help ? 0 : 1)
}

const seconds = Number(values.minutes) * 60
const report = await runSoak({
  seed: Number(values.seed),
  seconds,
  warmUpSeconds: Math.min(60, seconds / 2),
  concurrency: Number(values.concurrency),
  neighbours: neighbours as NeighbourName[],
  from: Number(values.from),
  ...(only !== undefined && { only: only as AttackKind[] }),
  log: (line) => console.log(line),
})
console.log(`\n${table(`seed ${report.seed}, ${Math.round(report.seconds)} s`, report)}`)
if (report.breaches.length > 0) {
  console.log(`\n${report.evidence}\n`)
  for (const breach of report.breaches.slice(0, 20)) console.log(`  ! ${breach}`)
  const after = report.secondsToBreach === null ? '' : ` after ${report.secondsToBreach.toFixed(1)} s`
  console.log(`\nFAILED${after}, seed ${report.seed}.`)
} else console.log('\nThe application withstood all attacks.')
process.exit(report.breaches.length === 0 ? 0 : 1)
