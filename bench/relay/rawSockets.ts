import { createHash } from 'node:crypto'
import net from 'node:net'

/**
 * A bare `net.Server` that does the WebSocket handshake and ignores everything that a client sends afterwards. It is a floor
 * for comparison, not a real server.
 */
export function rawWebSocketServer(opened: (socket: net.Socket, url: string) => void): net.Server {
  return net.createServer({ noDelay: true }, (socket) => {
    let head = ''
    const onHead = (chunk: Buffer) => {
      head += chunk.toString('latin1')
      if (!head.includes('\r\n\r\n')) return
      socket.off('data', onHead)
      socket.resume()
      const key = /^sec-websocket-key: *(.*)$/im.exec(head)![1]!.trim()
      const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
          `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
      )
      opened(socket, head.split(' ', 2)[1]!)
    }
    socket.on('data', onHead)
    socket.on('error', () => socket.destroy())
  })
}

/** An unmasked text frame. All sockets can share the buffer. */
export function textFrame(text: string): Buffer {
  const size = Buffer.byteLength(text)
  const head = size < 126 ? 2 : size < 65536 ? 4 : 10
  const frame = Buffer.allocUnsafe(head + size)
  frame[0] = 0x81
  frame[1] = head === 2 ? size : head === 4 ? 126 : 127
  if (head === 4) frame.writeUInt16BE(size, 2)
  if (head === 10) frame.writeBigUInt64BE(BigInt(size), 2)
  frame.write(text, head)
  return frame
}
