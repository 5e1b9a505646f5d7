import type { Socket } from 'node:net'
import { connectRedis, listen } from '../relay/peer.ts'
import { rawWebSocketServer, textFrame } from '../relay/rawSockets.ts'
import { channelOf, messageText, Rooms } from '../relay/rooms.ts'

/** Floor: bare sockets. All messages of a channel that arrive in one tick go to a socket in one write. */
const redis = connectRedis()
const rooms = new Rooms<Socket>(redis)
const pending = new Map<string, Buffer[]>()

redis.on('message', (channel, body) => {
  const frames = pending.get(channel)
  const frame = textFrame(messageText(channel, body))
  if (frames !== undefined) {
    frames.push(frame)
    return
  }
  if (pending.size === 0) setImmediate(flush)
  pending.set(channel, [frame])
})

function flush(): void {
  for (const [channel, frames] of pending) {
    const bytes = frames.length === 1 ? frames[0]! : Buffer.concat(frames)
    for (const socket of rooms.members(channel)) socket.write(bytes)
  }
  pending.clear()
}

await listen(
  rawWebSocketServer(async (socket, url) => {
    const channel = channelOf(url)
    socket.on('close', () => rooms.leave(channel, socket))
    await rooms.join(channel, socket)
    socket.write(textFrame('ok'))
  }),
)
