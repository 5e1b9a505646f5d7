import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import { WebSocketServer } from 'ws'
import type { Frame } from './scriptedServer.ts'

/** A WebSocket server that accepts every request at once. The test controls everything else. */
export class ObligingServer {
  /** The requests of each connection, in order. */
  readonly requests: string[][] = []
  /** The fields of the next `subscribeOk` for a request with a position. */
  recovery: object = { recovered: true, messages: [] }
  readonly #server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  #position = 0

  constructor() {
    this.#server.on('connection', (socket) => {
      const requests: string[] = []
      this.requests.push(requests)
      socket.on('error', () => {})
      socket.on('message', (data) => {
        const { __type: type, channel, position }: Frame = JSON.parse(String(data))
        if (type === 'auth') return socket.send(JSON.stringify({ __type: 'authOk', __v: 1 }))
        requests.push(`${type} ${channel}`)
        const answer = { __type: `${type}Ok`, channel }
        const place = type === 'subscribe' ? { position: `p${++this.#position}` } : {}
        socket.send(JSON.stringify({ ...answer, ...place, ...(position && this.recovery) }))
      })
    })
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/broadcast`
  }

  get connections(): number {
    return this.#server.clients.size
  }

  /** Sends a frame with the next position to all clients. */
  send(frame: Frame): void {
    const text = JSON.stringify({ position: `p${++this.#position}`, ...frame })
    for (const socket of this.#server.clients) socket.send(text)
  }

  close(code: number): void {
    for (const socket of this.#server.clients) socket.close(code)
  }

  static async start(): Promise<ObligingServer> {
    const server = new ObligingServer()
    await once(server.#server, 'listening')
    onTestFinished(() => {
      for (const socket of server.#server.clients) socket.terminate()
      server.#server.close()
    })
    return server
  }
}
