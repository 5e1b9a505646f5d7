import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import tls from 'node:tls'
import type { AttachableServer } from './upgrades.ts'

/**
 * Makes the server parse a request again, without its `Upgrade` header. So the request has a body, keep-alive, and
 * everything else that an ordinary request has. This is the fallback for versions of Node that have no
 * `shouldUpgradeCallback`.
 */
export function serveAsOrdinary(
  server: AttachableServer,
  req: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  if (socket.readableEnded) return void socket.destroy()
  // An earlier answer on this connection has set the keep-alive timeout. The server does not clear it for a connection
  // that it takes as a new one.
  ;(socket as Partial<Socket>).setTimeout?.(0)
  socket.unshift(Buffer.concat([ordinaryHead(req), head]))
  // Only Node's own listener is called, which is the first. Other listeners would count one more connection for each
  // such request.
  const [serve] = server.listeners(server instanceof tls.Server ? 'secureConnection' : 'connection')
  Reflect.apply(serve!, server, [socket])
}

/** The head of the request without the upgrade. A line break ends a header, also for a lenient parser, so the lines are those of `req`. */
function ordinaryHead(req: IncomingMessage): Buffer {
  const lines = [`${req.method} ${req.url} HTTP/${req.httpVersion}`]
  for (let i = 0; i < req.rawHeaders.length; i += 2) {
    const name = req.rawHeaders[i]!
    let value = req.rawHeaders[i + 1]!
    if (/^upgrade$/i.test(name)) continue
    if (/^connection$/i.test(name)) value = withoutUpgrade(value)
    lines.push(`${name}: ${value}`)
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
}

function withoutUpgrade(connection: string): string {
  return connection
    .split(',')
    .filter((option) => option.trim().toLowerCase() !== 'upgrade')
    .join(',')
}
