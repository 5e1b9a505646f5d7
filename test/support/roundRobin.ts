import http from 'node:http'
import net from 'node:net'
import type { AddressInfo } from 'node:net'

export type RoundRobin = {
  /** `http://127.0.0.1:PORT`, without a path. */
  readonly origin: string
  readonly port: number
  /** How many requests, including upgrades, each target has got so far. */
  readonly counts: readonly number[]
  close(): Promise<void>
}

/**
 * A reverse proxy without sticky sessions. Each request goes to the next target, also the requests of one keep-alive
 * connection. So every poll of a client goes to another node than the previous one. Like nginx with
 * `proxy_next_upstream error http_503`, it skips targets that refuse the connection, and a WebSocket handshake that a
 * draining target refuses with 503 goes to the next target.
 */
export async function roundRobin(targets: readonly (string | URL)[]): Promise<RoundRobin> {
  const urls = targets.map((target) => new URL(target))
  const counts = urls.map(() => 0)
  const agent = new http.Agent({ keepAlive: true })
  const sockets = new Set<net.Socket>()
  let turn = 0

  /** The targets in the order in which to try them, the next one first. */
  const inTurn = () => {
    const first = turn++
    return urls.map((_, i) => (first + i) % urls.length)
  }
  const take = (index: number): URL => {
    counts[index]!++
    return urls[index]!
  }

  const forward = (
    request: http.IncomingMessage,
    response: http.ServerResponse,
    body: Buffer,
    [first, ...others] = inTurn(),
  ) => {
    if (response.destroyed) return
    const { hostname, port } = take(first!)
    const { method, url: path, headers } = request
    const forwarded = http.request({ agent, hostname, port, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode!, answer.rawHeaders)
      answer.pipe(response)
    })
    // The node must notice that a client disconnects, like behind nginx.
    const leave = () => response.writableFinished || forwarded.destroy()
    response.on('close', leave)
    forwarded.on('error', (error) => {
      response.off('close', leave)
      if (response.headersSent) response.destroy()
      else if (isRefused(error) && others.length > 0) forward(request, response, body, others)
      else response.writeHead(502).end()
    })
    forwarded.end(body)
  }

  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => forward(request, response, Buffer.concat(chunks)))
  })

  const upgrade = (
    request: http.IncomingMessage,
    socket: net.Socket,
    head: Buffer,
    [first, ...others] = inTurn(),
  ) => {
    const { hostname, port } = take(first!)
    const target = net.connect(Number(port), hostname)
    const tryNext = () => {
      target.removeAllListeners('close').destroy()
      upgrade(request, socket, head, others)
    }
    target.on('error', (error) => {
      if (isRefused(error) && others.length > 0) tryNext()
      else socket.destroy()
    })
    target.on('close', () => socket.destroySoon())
    target.on('connect', () => {
      const headers = request.rawHeaders.flatMap((name, i, all) =>
        i % 2 ? [] : [`${name}: ${all[i + 1]}\r\n`],
      )
      target.write(`${request.method} ${request.url} HTTP/1.1\r\n${headers.join('')}\r\n`)
      target.write(head)
    })
    target.once('data', (answer: Buffer) => {
      const isUnavailable = answer.toString('latin1', 0, 12) === 'HTTP/1.1 503'
      if (isUnavailable && others.length > 0) return tryNext()
      socket.write(answer)
      socket.pipe(target).pipe(socket)
    })
    socket.on('close', () => target.destroySoon())
  }
  server.on('upgrade', (request, duplex, head) => {
    // It is a net.Socket, because this server does not use TLS.
    const socket = duplex as net.Socket
    socket.on('error', () => socket.destroy())
    upgrade(request, socket, head)
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))

  const { port } = server.address() as AddressInfo
  return {
    origin: `http://127.0.0.1:${port}`,
    port,
    counts,
    close: () => {
      for (const socket of sockets) socket.destroy()
      agent.destroy()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

function isRefused(error: NodeJS.ErrnoException): boolean {
  return error.code === 'ECONNREFUSED'
}
