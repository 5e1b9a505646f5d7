import { fileURLToPath } from 'node:url'
import { startCluster } from './cluster/startCluster.ts'

const port = Number(process.env['PORT'] ?? 5173)
const program = fileURLToPath(new URL('server.mjs', import.meta.url))

const cluster = await startCluster({ program, port, log: 'inherit' }).catch(
  (error: NodeJS.ErrnoException) => {
    const inUse = error.code === 'EADDRINUSE'
    console.error(
      inUse ? `Port ${port} is taken. Try another: PORT=${port + 1} npm run demo:cluster` : error.message,
    )
    process.exit(1)
  },
)

// Before anybody can see that it runs.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  process.once(signal, () => void cluster.close().finally(() => process.exit(0)))
}

console.log(`
  broadcaster demo: two nodes behind a round-robin proxy, and a Redis

  page      ${cluster.url}
  try       redis-cli -u ${cluster.redisUrl} PUBLISH news hello
`)
