import { broadcaster, type BroadcasterOptions } from '@broadcaster/server'
import express from 'express'
import { listen, redisUrl } from './peer.ts'

/** This kit, mounted as its README shows it. Each peer that serves it says which options it sets. */
export async function serveBroadcaster(options: BroadcasterOptions = {}): Promise<void> {
  const app = express()
  const broadcast = broadcaster({ redis: redisUrl, ...options })
  app.use('/broadcast', broadcast)
  await broadcast.ready()
  await listen(app)
}
