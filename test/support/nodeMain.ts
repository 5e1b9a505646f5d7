import { startServer } from './server.ts'

// A server in a process of its own, for tests that end it the hard way. Options come as JSON, the address goes out.
const { port, ...options } = JSON.parse(process.argv[2]!) as { port?: number }
const server = await startServer(options, port === undefined ? {} : { port })
process.stdout.write(`${server.url}\n`)
// Whoever started it is gone.
process.stdin.resume().on('end', () => process.exit())
