import http from 'node:http'
import { WebSocketServer, type WebSocket } from 'ws'
import { connectRedis, listen } from '../relay/peer.ts'
import { channelOf, messageText, Rooms } from '../relay/rooms.ts'

/** As ws8, with the permessage-deflate of ws, which compresses for each connection separately. */
const redis = connectRedis()
const rooms = new Rooms<WebSocket>(redis)
const server = http.createServer()
const sockets = new WebSocketServer({ server, perMessageDeflate: true })

redis.on('message', (channel, body) => {
  const text = messageText(channel, body)
  for (const socket of rooms.members(channel)) {
    if (socket.readyState === socket.OPEN) socket.send(text)
  }
})

sockets.on('connection', async (socket, request) => {
  const channel = channelOf(request.url!)
  socket.on('error', console.error)
  socket.on('close', () => rooms.leave(channel, socket))
  await rooms.join(channel, socket)
  socket.send('ok')
})

await listen(server)
