import { broadcaster, type BroadcasterOptions } from '@broadcaster/server'
import express from 'express'
import { listen, redisUrl } from './peer.ts'

/**
 * Serves this kit, mounted as in its README. Each peer that calls this gives its options. If the bench asks for it, further nodes
 * are served from the same process.
 */
export async function serveBroadcaster(options: BroadcasterOptions = {}): Promise<void> {
  process.on('message', (message) => {
    if (message === 'another node') void serveNode(options)
  })
  await serveNode(options)
}

async function serveNode(options: BroadcasterOptions): Promise<void> {
  const app = express()
  // The whole load comes from one address.
  const limits = { connectionsPerAddress: Infinity, ...options.limits }
  const broadcast = broadcaster({ redis: redisUrl, ...options, limits })
  app.use('/broadcast', broadcast)
  await broadcast.ready()
  await listen(app)
}
