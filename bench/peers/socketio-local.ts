import { serveSocketIo } from '../relay/socketio.ts'

/**
 * Socket.IO where each node relays for its own clients, `io.local.to(room).emit()`: cheaper, and what several nodes that all
 * subscribe to the same channels would have to do.
 */
await serveSocketIo((io, channel, body) => io.local.to(channel).emit('message', { channel, body }))
