import { request as forward, type IncomingMessage, type RequestListener } from 'node:http'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'

export type Proxy = {
  readonly onRequest: RequestListener
  readonly onUpgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void
}

const HOST = '127.0.0.1'

/**
 * A reverse proxy without sticky sessions: each request and each WebSocket goes to the next node.
 *
 * @param nextPort The port of the next node that runs. `undefined`: none does.
 */
export function proxyTo(nextPort: () => number | undefined): Proxy {
  return {
    onRequest: (request, response) => {
      const port = nextPort()
      if (port === undefined) return void response.writeHead(503, { 'Retry-After': '1' }).end()
      const { method, url, headers } = request
      const forwarded = forward({ host: HOST, port, method, path: url, headers }, (answer) => {
        response.writeHead(answer.statusCode!, answer.rawHeaders)
        answer.on('error', () => response.destroy()).pipe(response)
      })
      forwarded.on('error', () => {
        // The node was killed, or is not there yet.
        if (response.headersSent) response.destroy()
        else response.writeHead(502).end()
      })
      // The node has to notice that a client has gone.
      response.on('close', () => response.writableFinished || forwarded.destroy())
      request.pipe(forwarded)
    },

    onUpgrade: (request, near, head) => {
      // Without a listener, one broken connection would end the process.
      near.on('error', () => near.destroy())
      const port = nextPort()
      if (port === undefined)
        return void near.end('HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n')
      const far = connect(port, HOST, () => {
        const headers = request.rawHeaders.flatMap((name, i, all) =>
          i % 2 === 0 ? [`${name}: ${all[i + 1]}\r\n`] : [],
        )
        far.write(`${request.method} ${request.url} HTTP/1.1\r\n${headers.join('')}\r\n`)
        far.write(head)
        near.pipe(far).pipe(near)
      })
      far.on('error', () => near.destroy())
      far.on('close', () => near.destroy())
      near.on('close', () => far.destroy())
    },
  }
}
