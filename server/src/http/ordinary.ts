import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import tls from 'node:tls'
import type { AttachableServer } from './upgrades.ts'

/**
 * Has the server read a request once more, without its wish to upgrade: so it has a body, a connection that goes on after
 * it, and everything else that an ordinary one has. Newer versions of Node ask before they take a request for an upgrade.
 */
export function serveAsOrdinary(
  server: AttachableServer,
  req: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  const text = ordinaryHead(req)
  if (text === null || socket.readableEnded) return void socket.destroy()
  // An answer before this one has left the limit for idle connections behind, and the server would not know of it.
  ;(socket as Partial<Socket>).setTimeout?.(0)
  socket.unshift(Buffer.concat([text, head]))
  // Node's own, which is the first; others would see a connection open for every such request.
  const [serve] = server.listeners(server instanceof tls.Server ? 'secureConnection' : 'connection')
  Reflect.apply(serve!, server, [socket])
}

/** `null` if it can't be written down again: a lenient parser lets anything into a header. */
function ordinaryHead(req: IncomingMessage): Buffer | null {
  const lines = [`${req.method} ${req.url} HTTP/${req.httpVersion}`]
  for (let i = 0; i < req.rawHeaders.length; i += 2) {
    const name = req.rawHeaders[i]!
    let value = req.rawHeaders[i + 1]!
    if (/^upgrade$/i.test(name)) continue
    if (/^connection$/i.test(name)) value = withoutUpgrade(value)
    lines.push(`${name}: ${value}`)
  }
  const text = lines.join('\r\n')
  if (text.split(/[\r\n]+/).length !== lines.length) return null
  return Buffer.from(`${text}\r\n\r\n`, 'latin1')
}

function withoutUpgrade(connection: string): string {
  return connection
    .split(',')
    .filter((option) => option.trim().toLowerCase() !== 'upgrade')
    .join(',')
}
