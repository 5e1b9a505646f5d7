import { broadcaster, type BroadcasterOptions } from '@broadcaster/server'
import express from 'express'
import { listen, redisUrl } from './peer.ts'

/** This kit, mounted as its README shows it. Each peer that serves it says which options it sets. */
export async function serveBroadcaster(options: BroadcasterOptions = {}): Promise<void> {
  const app = express()
  // All of the load comes from one address.
  const limits = { connectionsPerAddress: Infinity, ...options.limits }
  const broadcast = broadcaster({ redis: redisUrl, ...options, limits })
  app.use('/broadcast', broadcast)
  await broadcast.ready()
  await listen(app)
}
