import { broadcaster, type Broadcaster, type BroadcasterOptions } from '@broadcaster/server'
import express from 'express'
import { listen, redisUrl } from './peer.ts'

/**
 * Serves this kit, mounted as in its README. Each peer that calls this gives its options, and what else
 * it does with each broadcaster. If the bench asks for it, further nodes
 * are served from the same process.
 */
export async function serveBroadcaster(
  options: BroadcasterOptions = {},
  served: (live: Broadcaster) => void = () => {},
): Promise<void> {
  process.on('message', (message) => {
    if (message === 'another node') void serveNode(options, served)
  })
  await serveNode(options, served)
}

async function serveNode(options: BroadcasterOptions, served: (live: Broadcaster) => void): Promise<void> {
  const app = express()
  // The whole load comes from one address.
  const limits = { connectionsPerAddress: Infinity, ...options.limits }
  const broadcast = broadcaster({ redis: redisUrl, ...options, limits })
  app.use('/broadcast', broadcast)
  await broadcast.ready()
  served(broadcast)
  await listen(app)
}
