import { once } from 'node:events'
import net from 'node:net'
import { tidy } from './tidy.ts'
import { within } from './waiting.ts'

/** A TCP connection on which a test writes HTTP itself, in a form or in pieces that no client library would send. */
export class RawSocket {
  readonly socket: net.Socket
  /** Resolves when the connection has ended, for any reason. */
  readonly closed: Promise<void>
  #received: Buffer = Buffer.alloc(0)
  #onData = (data: Buffer) => void (this.#received = Buffer.concat([this.#received, data]))

  private constructor(socket: net.Socket) {
    this.socket = socket
    socket.on('error', () => {})
    socket.on('data', (data) => this.#onData(data))
    this.closed = new Promise((resolve) => socket.on('close', () => resolve()))
  }

  static async open(
    { url }: { readonly url: string },
    options: { allowHalfOpen?: boolean } = {},
  ): Promise<RawSocket> {
    const socket = net.connect({ host: '127.0.0.1', port: Number(new URL(url).port), ...options })
    tidy({ close: () => socket.destroy() })
    const raw = new RawSocket(socket)
    await within(once(socket, 'connect'), 'a connection')
    return raw
  }

  write(...parts: (string | Buffer)[]): void {
    this.socket.write(Buffer.concat(parts.map((part) => Buffer.from(part as string))))
  }

  /** The received text up to and including the first `end`. The next call returns the text after it. */
  async readsTo(end: string): Promise<string> {
    const keep = this.#onData
    const parts = [this.#received]
    let tail: Buffer = this.#received
    const found = new Promise<string>((resolve) => {
      const look = () => {
        if (!tail.includes(end)) return void (tail = tail.subarray(-end.length))
        const all = Buffer.concat(parts)
        const length = all.indexOf(end) + end.length
        this.#onData = keep
        this.#received = all.subarray(length)
        resolve(all.toString('latin1', 0, length))
      }
      this.#onData = (data) => {
        parts.push(data)
        tail = Buffer.concat([tail, data])
        look()
      }
      look()
    })
    return within(found, JSON.stringify(end))
  }

  /** The status of the next answer. This takes only the head of the answer. */
  async status(): Promise<number> {
    const head = await this.readsTo('\r\n\r\n')
    return Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1])
  }

  async ended(): Promise<void> {
    await within(this.closed, 'the connection to be closed')
  }

  /** Sends a TCP reset, like a client that has crashed. */
  reset(): void {
    this.socket.resetAndDestroy()
  }
}

/** The text of a request. */
export function request(line: string, headers: Record<string, string> = {}, body = ''): string {
  const fields = { Host: 'localhost', ...(body && { 'Content-Length': String(body.length) }), ...headers }
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${line} HTTP/1.1\r\n${lines.join('')}\r\n${body}`
}

/** The text of a WebSocket handshake request. */
export function handshake(target: string, headers: Record<string, string> = {}): string {
  return request(`GET ${target}`, {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    ...headers,
  })
}

/** The headers that curl and Java send with the first request of a connection. */
export const h2c = {
  Connection: 'Upgrade, HTTP2-Settings',
  Upgrade: 'h2c',
  'HTTP2-Settings': 'AAMAAABkAAQCAAAAAAIAAAAA',
}
