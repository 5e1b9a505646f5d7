import { serveSocketIo } from '../relay/socketio.ts'

/** Socket.IO as its documentation shows it: `io.to(room).emit()`, which the adapter publishes to the other nodes. */
await serveSocketIo((io, channel, body) => io.to(channel).emit('message', { channel, body }))
