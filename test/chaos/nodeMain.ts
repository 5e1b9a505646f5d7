import { broadcaster, type BroadcasterOptions } from '@broadcaster/server'
import express from 'express'

export type NodeSetup = {
  readonly port: number
  readonly redis: NonNullable<BroadcasterOptions['redis']>
  readonly drainMs: number
  readonly isVerbose: boolean
}

const LAST_ANSWERS_MS = 2000

// A server as anybody would write it, which leaves gracefully.
const { port, redis, drainMs, isVerbose } = JSON.parse(process.argv[2]!) as NodeSetup
const say = (level: string) => (fields: object, words?: string) => {
  if (isVerbose) console.error(port, level, words, JSON.stringify(fields))
}
const live = broadcaster({
  redis,
  // A client on a loaded machine may be away for long; what is of interest here is not how long.
  recovery: { window: 120_000, maxMessages: 20_000 },
  logger: { debug: () => {}, info: say('info'), warn: say('warn'), error: say('error') },
})
const app = express()
app.use('/broadcast', live)
app.get('/stats', (_req, res) => {
  live.stats().then(
    (stats) => res.json(stats),
    () => res.status(503).end(),
  )
})
const server = app.listen(port, '127.0.0.1', (error?: Error) => {
  if (error) throw error
  console.log('listening')
})

process.once('SIGTERM', () => void leave())
// Whoever started it is gone.
process.once('disconnect', () => process.exit(1))

async function leave(): Promise<void> {
  await live.close({ drain: drainMs })
  server.close(() => process.exit(0))
  // Requests that are under way are answered, but nobody keeps the process for ever.
  setTimeout(() => server.closeAllConnections(), LAST_ANSWERS_MS)
}
