import express from 'express'
import expressWs from 'express-ws'
import type { WebSocket } from 'ws'
import { connectRedis, listen } from '../relay/peer.ts'
import { messageText, Rooms } from '../relay/rooms.ts'

/** A loop over the sockets of express-ws, as its README shows it. */
const redis = connectRedis()
const rooms = new Rooms<WebSocket>(redis)
const { app } = expressWs(express())

redis.on('message', (channel, body) => {
  const text = messageText(channel, body)
  for (const socket of rooms.members(channel)) {
    if (socket.readyState === socket.OPEN) socket.send(text)
  }
})

app.ws('/', async (socket, request) => {
  const channel = String(request.query['channel'])
  socket.on('close', () => rooms.leave(channel, socket))
  await rooms.join(channel, socket)
  socket.send('ok')
})

await listen(app)
