import type { Socket } from 'node:net'
import { connectRedis, listen } from '../relay/peer.ts'
import { rawWebSocketServer, textFrame } from '../relay/rawSockets.ts'
import { channelOf, messageText, Rooms } from '../relay/rooms.ts'

/** Floor: bare sockets. Each message is encoded once, and there is one write for each socket and message. */
const redis = connectRedis()
const rooms = new Rooms<Socket>(redis)

redis.on('message', (channel, body) => {
  const frame = textFrame(messageText(channel, body))
  for (const socket of rooms.members(channel)) socket.write(frame)
})

await listen(
  rawWebSocketServer(async (socket, url) => {
    const channel = channelOf(url)
    socket.on('close', () => rooms.leave(channel, socket))
    await rooms.join(channel, socket)
    socket.write(textFrame('ok'))
  }),
)
