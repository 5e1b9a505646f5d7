import { parseArgs } from 'node:util'
import { kinds } from './kinds.ts'
import { mib, runAbuse } from './run.ts'

const help = `npm run abuse -- [options]

A server with every limit at its default, 20 honest clients, and abusers at all limits at the same time. Prints what the
process had in memory at most, what the honest clients got and how late, and what is left in memory afterwards. Ends with an
error if an honest client missed anything, if memory went over the figure in docs/security.md, or if it did not come back.

  --seconds 60
  --only KIND     only kinds whose name contains this; may be given again
                  (a name that no kind has: no abusers, for comparison)
${Object.entries(kinds)
  .map(([name, { limit, abusers }]) => `                  ${name} (${abusers}; ${limit})`)
  .join('\n')}
`
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    only: { type: 'string', multiple: true, default: [] },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  console.log(help)
  process.exit(0)
}
const report = await runAbuse({
  seconds: Number(values.seconds),
  only: values.only,
  log: (line) => console.log(line),
})
console.log(JSON.stringify(report.counts, null, 2))
const { latency, load, before, during, after } = report
console.log(`honest: ${report.deliveries} deliveries of ${report.published} messages`)
for (const [mode, { p50, p99, max }] of Object.entries(latency))
  console.log(`  ${mode}: p50 ${p50} ms, p99 ${p99} ms, max ${max} ms`)
for (const [name, { cpu, loopDelay }] of Object.entries(load))
  console.log(
    `${name}: ${cpu.toFixed(2)} cores, event loop delay p99 ${loopDelay.p99} ms, max ${loopDelay.max} ms`,
  )
console.log(`resident: ${mib(before.memory.resident)} before, ${mib(during.peak)} at most`)
console.log(`heap: ${mib(before.memory.heap)} before, ${mib(after.memory.heap)} afterwards`)
console.log(`external: ${mib(before.memory.external)} before, ${mib(after.memory.external)} afterwards`)
for (const breach of report.breaches) console.log(`  ! ${breach}`)
if (report.breaches.length > 0) console.log(report.output.slice(-5000))
process.exit(report.breaches.length === 0 ? 0 : 1)
