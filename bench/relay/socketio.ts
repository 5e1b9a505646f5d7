import http from 'node:http'
import { createAdapter } from '@socket.io/redis-adapter'
import { Server } from 'socket.io'
import { connectRedis, listen } from './peer.ts'

/**
 * Serves Socket.IO with its Redis adapter, with one room for each channel. `emit` sends a message of a Redis channel to the
 * room. Everything else is as in the documentation of Socket.IO and of the adapter.
 */
export async function serveSocketIo(
  emit: (io: Server, channel: string, body: string) => void,
): Promise<void> {
  const redis = connectRedis()
  const server = http.createServer()
  const io = new Server(server, { adapter: createAdapter(connectRedis(), connectRedis()) })
  const subscribed = new Map<string, Promise<unknown>>()

  redis.on('message', (channel, body) => emit(io, channel, body))

  io.on('connection', (socket) => {
    socket.on('subscribe', async (channel: string, done: () => void) => {
      if (!subscribed.has(channel)) subscribed.set(channel, redis.subscribe(channel))
      await subscribed.get(channel)
      await socket.join(channel)
      done()
    })
  })

  await listen(server)
}
