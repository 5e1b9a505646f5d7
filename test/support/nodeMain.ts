import { startServer } from './server.ts'

// A server in a process of its own, for tests that end it the hard way. Options come as JSON, the address goes out.
const { port, clockMs, ...options } = JSON.parse(process.argv[2]!) as { port?: number; clockMs?: number }
if (clockMs !== undefined) {
  const rightNow = Date.now
  Date.now = () => rightNow() + clockMs
}
const server = await startServer(options, port === undefined ? {} : { port })
process.stdout.write(`${server.url}\n`)
// Whoever started it is gone.
process.stdin.resume().on('end', () => process.exit())
