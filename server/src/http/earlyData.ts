import type { Duplex } from 'node:stream'

/**
 * The maximum number of bytes before the handshake is answered. A client must wait for that answer, so it has no reason
 * to send more.
 */
const MAX_BYTES = 64 * 1024

/**
 * Reads a socket while its upgrade request is pending. The returned function stops reading and puts the data back.
 * Without reading, the end of the connection would not be noticed if the client has sent data before it, because the
 * end comes after the data in the stream.
 */
export function holdEarlyData(socket: Duplex): () => void {
  const parts: Buffer[] = []
  let bytes = 0
  const hold = () => {
    for (let part = read(socket); part !== null; part = read(socket)) {
      parts.push(part)
      bytes += part.length
    }
    if (bytes > MAX_BYTES) socket.destroy()
  }
  const onEnd = () => socket.destroy()
  // The event `data` is not used: it switches the stream to flowing mode, and the stream would stay in it after the
  // listener is removed.
  socket.on('readable', hold).on('end', onEnd)
  return () => {
    socket.off('readable', hold).off('end', onEnd)
    if (parts.length > 0 && !socket.destroyed) socket.unshift(Buffer.concat(parts.splice(0)))
  }
}

function read(socket: Duplex): Buffer | null {
  return socket.read() as Buffer | null
}
