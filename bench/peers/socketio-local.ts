import { serveSocketIo } from '../relay/socketio.ts'

/**
 * Socket.IO in which each node relays only to its own clients, with `io.local.to(room).emit()`. This is cheaper. Several nodes
 * that all subscribe to the same channels have to use it.
 */
await serveSocketIo((io, channel, body) => io.local.to(channel).emit('message', { channel, body }))
