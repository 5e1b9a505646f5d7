import { broadcaster, type BroadcasterOptions } from '@broadcaster/server'
import express from 'express'

export type NodeSetup = {
  readonly port: number
  readonly redis: NonNullable<BroadcasterOptions['redis']>
  readonly drainMs: number
  readonly copies: number
  readonly isVerbose: boolean
}

const LAST_ANSWERS_MS = 2000

// An ordinary server that drains on SIGTERM.
const { port, redis, drainMs, copies, isVerbose } = JSON.parse(process.argv[2]!) as NodeSetup
const say = (level: string) => (fields: object, words?: string) => {
  if (isVerbose) console.error(port, level, words, JSON.stringify(fields))
}
const live = broadcaster({
  redis,
  // A client on a loaded machine may be disconnected for long. The limits of logs are not the subject of this run.
  recovery: { window: 120_000, maxMessages: 20_000, copies },
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
// The process that started this one has ended.
process.once('disconnect', () => process.exit(1))

async function leave(): Promise<void> {
  await live.close({ drain: drainMs })
  server.close(() => process.exit(0))
  // Requests in flight are answered, but they can't keep the process running for ever.
  setTimeout(() => server.closeAllConnections(), LAST_ANSWERS_MS)
}
