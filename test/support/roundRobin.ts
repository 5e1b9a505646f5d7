import http from 'node:http'
import net from 'node:net'
import type { AddressInfo } from 'node:net'

export type RoundRobin = {
  /** `http://127.0.0.1:PORT`, without a path. */
  readonly origin: string
  /** How many requests, upgrades included, went to each target so far. */
  readonly counts: readonly number[]
  close(): Promise<void>
}

/**
 * A reverse proxy without any stickiness: each request goes to the next target, also each request of one
 * keep-alive connection, so that every poll of a client lands on another node than the one before.
 */
export async function roundRobin(targets: readonly (string | URL)[]): Promise<RoundRobin> {
  const urls = targets.map((target) => new URL(target))
  const counts = urls.map(() => 0)
  const agent = new http.Agent({ keepAlive: true })
  const sockets = new Set<net.Socket>()
  let turn = 0

  const next = (): URL => {
    const index = turn++ % urls.length
    counts[index]!++
    return urls[index]!
  }

  const server = http.createServer((request, response) => {
    const { hostname, port } = next()
    const { method, url: path, headers } = request
    const forwarded = http.request({ agent, hostname, port, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode!, answer.rawHeaders)
      answer.pipe(response)
    })
    forwarded.on('error', () => (response.headersSent ? response.destroy() : response.writeHead(502).end()))
    // A client that goes away must be seen by the node, as behind nginx.
    response.on('close', () => response.writableFinished || forwarded.destroy())
    request.pipe(forwarded)
  })

  server.on('upgrade', (request, socket, head) => {
    const { hostname, port } = next()
    const target = net.connect(Number(port), hostname)
    const headers = request.rawHeaders.flatMap((name, i, all) =>
      i % 2 ? [] : [`${name}: ${all[i + 1]}\r\n`],
    )
    target.write(`${request.method} ${request.url} HTTP/1.1\r\n${headers.join('')}\r\n`)
    target.write(head)
    for (const [from, to] of [
      [socket, target],
      [target, socket],
    ] as const) {
      from.pipe(to)
      from.on('error', () => to.destroy())
      from.on('close', () => to.destroy())
    }
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))

  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    counts,
    close: () => {
      for (const socket of sockets) socket.destroy()
      agent.destroy()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}
