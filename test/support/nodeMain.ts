import { startServer, type TestServer } from './server.ts'

// A server in its own process, for tests that kill it. It gets its options as JSON, and prints its address.
const { port, clockMs, ...options } = JSON.parse(process.argv[2]!) as { port?: number; clockMs?: number }
if (clockMs !== undefined) {
  const rightNow = Date.now
  Date.now = () => rightNow() + clockMs
}
// The process that started this one has ended.
process.stdin.resume().on('end', () => process.exit())
const server: TestServer = await startServer(options, {
  before: (app) => {
    app.get('/stats', (_req, res) => {
      server.broadcaster.stats().then(
        (stats) => res.json(stats),
        () => res.status(503).end(),
      )
    })
  },
  ...(port !== undefined && { port }),
})
process.stdout.write(`${server.url}\n`)
