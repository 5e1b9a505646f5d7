import { parseArgs } from 'node:util'
import { buildDemo } from '../support/builtDemo.ts'
import { runBreakIt } from './run.ts'

const help = `npm run break-it -- [options]

npm run demo:cluster in a real browser, with one window over each transport. Nodes are killed with the buttons of the page, in turn,
and sockets are cut. Ends with the counters of the page, and with an error if a message was lost or doubled, or if a client was told
of a gap before Redis was killed.

  --minutes 5
  --kills 10
  --redis 1       how often Redis is killed and started, at the end
  --rate 200      messages a second
`

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    kills: { type: 'string', default: '10' },
    redis: { type: 'string', default: '1' },
    rate: { type: 'string', default: '200' },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  console.log(help)
  process.exit()
}

const built = await buildDemo()
const startedAt = Date.now()
const seconds = () => ((Date.now() - startedAt) / 1000).toFixed(1)
const reports = await runBreakIt({
  program: built.program,
  minutes: Number(values.minutes),
  kills: Number(values.kills),
  cutsWindows: true,
  redisRestarts: Number(values.redis),
  rate: Number(values.rate),
  log: (line) => console.log(`${seconds().padStart(7)} s  ${line}`),
})

console.log(
  `\n${values.kills} kills, ${values.redis} restarts of Redis, ${values.rate} messages/s, ${seconds()} s`,
)
console.table(
  reports.map(({ transport, beforeRedis, counters, recoveries }) => {
    const sorted = recoveries.toSorted((a, b) => a - b)
    return {
      transport,
      received: counters.received,
      lost: counters.lost,
      doubled: counters.doubled,
      'gaps before Redis was killed': beforeRedis.gaps,
      'gaps after': counters.gaps - beforeRedis.gaps,
      faults: recoveries.length,
      'recovered in, median (ms)': sorted[sorted.length >> 1] ?? 0,
      'longest (ms)': sorted.at(-1) ?? 0,
    }
  }),
)
const isKept = reports.every(
  ({ beforeRedis, counters }) => counters.lost === 0 && counters.doubled === 0 && beforeRedis.gaps === 0,
)
console.log(isKept ? 'The guarantee holds.' : 'THE GUARANTEE IS BROKEN.')
process.exit(isKept ? 0 : 1)
