import { startDemo } from './startDemo.ts'

const port = Number(process.env['PORT'] ?? 5173)
const redis = process.env['REDIS_URL'] || false

const demo = await startDemo({ port, redis }).catch((error: NodeJS.ErrnoException) => {
  const inUse = error.code === 'EADDRINUSE'
  console.error(inUse ? `Port ${port} is taken. Try another: PORT=${port + 1} npm run demo` : error)
  process.exit(1)
})

const curl = `curl -d '{"channel":"news","body":"hello"}' ${demo.url}/api/publish`
const shownRedis = redis && withoutCredentials(redis)
const redisCli = `redis-cli -u ${shownRedis} PUBLISH news hello`

console.log(`
  broadcaster demo

  page      ${demo.url}
  backend   ${redis ? `Redis at ${shownRedis}` : 'in process (set REDIS_URL=redis://localhost:6379 for Redis)'}
  try       ${redis ? redisCli : curl}
`)

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    console.log('Draining: clients reconnect elsewhere without missing a message...')
    void demo.close(2000).finally(() => process.exit(0))
  })
}

function withoutCredentials(address: string): string {
  const url = new URL(address)
  url.username = url.password = ''
  return url.href
}
