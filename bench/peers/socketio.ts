import { serveSocketIo } from '../relay/socketio.ts'

/** Socket.IO in its documented use: `io.to(room).emit()`, which the adapter publishes for the other nodes. */
await serveSocketIo((io, channel, body) => io.to(channel).emit('message', { channel, body }))
