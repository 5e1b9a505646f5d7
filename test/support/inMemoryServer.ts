import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createTestBroadcaster, type TestBroadcasterOptions } from '@broadcaster/testing/client'
import { WebSocketServer } from 'ws'
import type { Subject } from './subject.ts'

/**
 * The test broadcaster behind a real port. Each socket and each request is connected to one of its WebSockets or to its `fetch`,
 * and both are passed on as they are.
 */
export async function startInMemoryServer(
  options: TestBroadcasterOptions,
  refusedChannel: string,
): Promise<Subject & { close(): Promise<void> }> {
  const broadcaster = createTestBroadcaster(options)
  await broadcaster.refuse(refusedChannel)

  const forward = async (request: IncomingMessage, response: ServerResponse) => {
    const abort = new AbortController()
    response.on('close', () => abort.abort())
    let body = ''
    for await (const chunk of request.setEncoding('utf8')) body += String(chunk)
    const answer = await broadcaster.fetch(broadcaster.url, {
      method: 'POST',
      headers: {},
      body,
      signal: abort.signal,
    })
    response.writeHead(answer.status, { 'Content-Type': 'application/json' }).end(await answer.text())
  }
  // A client that aborts its request needs no answer.
  const server = createServer((request, response) => void forward(request, response).catch(() => {}))
  const sockets = new WebSocketServer({ server })
  sockets.on('connection', (outer) => {
    const inner = new broadcaster.WebSocket(broadcaster.url)
    const early: string[] = []
    let isOpen = false
    inner.onopen = () => {
      isOpen = true
      for (const text of early) inner.send(text)
    }
    inner.onmessage = ({ data }: { data: string }) => outer.send(data)
    inner.onclose = ({ code, reason }: { code: number; reason: string }) =>
      code === 1005 || code === 1006 ? outer.terminate() : outer.close(code, reason)
    outer.on('message', (data) => (isOpen ? inner.send(String(data)) : early.push(String(data))))
    outer.on('close', () => inner.close())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/broadcast`,
    publish: (channel, body) => broadcaster.publish(channel, body),
    close: async () => {
      await broadcaster.close()
      for (const socket of sockets.clients) socket.terminate()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
