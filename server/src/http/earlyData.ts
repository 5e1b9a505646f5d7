import type { Duplex } from 'node:stream'

/** A client has to wait for the answer to its handshake: more than this it has no reason to send before. */
const MAX_BYTES = 64 * 1024

/**
 * Reads a socket while its upgrade request waits for something, and puts back what came when it is called off. Without a
 * reader nobody would notice that a client has gone which has sent something before: its end stands behind that.
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
  // Not 'data': a stream that has begun to flow flows on when nobody listens any more.
  socket.on('readable', hold).on('end', onEnd)
  return () => {
    socket.off('readable', hold).off('end', onEnd)
    if (parts.length > 0 && !socket.destroyed) socket.unshift(Buffer.concat(parts.splice(0)))
  }
}

function read(socket: Duplex): Buffer | null {
  return socket.read() as Buffer | null
}
