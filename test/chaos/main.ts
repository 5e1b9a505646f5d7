import { parseArgs } from 'node:util'
import { table } from './report.ts'
import { runChaos, scenarios, type Scenario } from './run.ts'

const help = `npm run chaos -- [options]

Several server processes, a real Redis, many clients over both transports, and one fault after the other. Ends with
a table, and with an error if a message was lost, doubled or out of order, or if a client was told of a gap without need.

  --scenario all       ${scenarios.join(', ')}
  --minutes 10
  --nodes 3
  --clients 300
  --rate 200           messages a second
  --channels 20
  --seed N             the same faults in the same order
  --only KIND          only faults whose name contains this; may be given again
  --verbose            every fault as it happens, and what the nodes log
`

const { values } = parseArgs({
  options: {
    scenario: { type: 'string', default: 'all' },
    minutes: { type: 'string', default: '10' },
    nodes: { type: 'string' },
    clients: { type: 'string' },
    rate: { type: 'string' },
    channels: { type: 'string', default: '20' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    only: { type: 'string', multiple: true },
    verbose: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

if (values.help || !scenarios.includes(values.scenario as Scenario)) {
  console.log(help)
  process.exit(values.help ? 0 : 1)
}

const scenario = values.scenario as Scenario
const isRolling = scenario === 'rolling'
const isSmall = isRolling || scenario === 'copies'
const options = {
  scenario,
  minutes: Number(values.minutes),
  nodes: Number(values.nodes ?? (isRolling ? 2 : 3)),
  clients: Number(values.clients ?? (isSmall ? 100 : 300)),
  rate: Number(values.rate ?? (isRolling ? 500 : 200)),
  channels: Number(scenario === 'copies' ? (values.clients ?? 100) : values.channels),
  seed: Number(values.seed),
}
const startedAt = Date.now()
const report = await runChaos({
  ...options,
  ...(values.only !== undefined && { only: values.only }),
  isVerbose: values.verbose,
  log: (line) => console.log(`${((Date.now() - startedAt) / 1000).toFixed(1).padStart(7)} s  ${line}`),
})
const { nodes, clients, rate, channels, seed } = options
const minutes = ((Date.now() - startedAt) / 60_000).toFixed(1)
const title = `${scenario}: ${nodes} nodes, ${clients} clients, ${channels} channels, ${rate} messages/s, ${minutes} min, seed ${seed}`
console.log(`\n${table(title, report)}`)
for (const breach of report.breaches.slice(0, 50)) console.log(`  ! ${breach}`)
console.log(report.breaches.length === 0 ? '\nThe guarantee holds.' : '\nTHE GUARANTEE IS BROKEN.')
process.exit(report.breaches.length === 0 ? 0 : 1)
