import { fileURLToPath } from 'node:url'
import { startDemo } from './startDemo.ts'

/** Over this time, clients are asked to move to other nodes. The supervisor has to wait longer before it kills the process. */
const DRAIN_MS = 10_000
const drainMs = Number(process.env['DRAIN_MS'] ?? DRAIN_MS)

const port = Number(process.env['PORT'] ?? 5173)
const host = process.env['HOST']
const redis = process.env['REDIS_URL'] || false
// `npm run build` puts the page beside this file.
const built = process.env['NODE_ENV'] === 'production' && {
  page: fileURLToPath(new URL('page', import.meta.url)),
}

const options = {
  tokenSecret: process.env['TOKEN_SECRET'],
  tokenLifeMs: Number(process.env['TOKEN_LIFE_MS'] ?? 30_000),
  inCluster: Boolean(process.env['IN_CLUSTER']),
}
const demo = await startDemo({ port, host, redis, ...options, ...built }).catch(
  (error: NodeJS.ErrnoException) => {
    const inUse = error.code === 'EADDRINUSE'
    console.error(inUse ? `Port ${port} is taken. Try another: PORT=${port + 1} npm run demo` : error)
    process.exit(1)
  },
)

const curl = `curl -d '{"channel":"news","body":"hello"}' ${demo.url}/api/publish`
const shownRedis = redis && withoutCredentials(redis)
const redisCli = `redis-cli -u ${shownRedis} PUBLISH news hello`

console.log(`
  broadcaster demo

  page      ${demo.url}
  backend   ${redis ? `Redis at ${shownRedis}` : 'in process (set REDIS_URL=redis://localhost:6379 for Redis)'}
  try       ${redis ? redisCli : curl}
`)

let isStopping = false
const stop = () => {
  // Some supervisors send a signal twice, and a second one must not cut the drain short.
  if (isStopping) return
  isStopping = true
  console.log('Draining: clients reconnect elsewhere without missing a message...')
  void demo.close(drainMs).finally(() => process.exit(0))
}
// The supervisor of `npm run demo:cluster` has ended, so it can't end this process any more.
if (options.inCluster) process.once('disconnect', () => process.exit(0))
// Docker, Kubernetes and systemd send SIGTERM, PM2 and Ctrl+C SIGINT, a terminal that closes SIGHUP.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, stop)

try {
  await demo.ready()
  // PM2 waits for this message before it stops an older process.
  process.send?.('ready')
} catch (error) {
  // If Redis refuses the connection, the process ends, and its supervisor reports it.
  if (!isStopping) throw error
}

function withoutCredentials(address: string): string {
  const url = new URL(address)
  url.username = url.password = ''
  return url.href
}
