import { once } from 'node:events'
import net from 'node:net'
import { pollDialects, type PollDialect, type PollDialectName } from './pollDialects.ts'
import { numbersIn } from './frames.ts'
import { eachOf } from './group.ts'
import { Tally } from './tally.ts'

export type PollOptions = {
  readonly port: number
  readonly dialect: PollDialectName
  readonly connections: number
}

export type Answer = { readonly head: string; readonly text: string }

const shared = Buffer.allocUnsafe(65536)

/** Long-poll clients on one channel. Each has one keep-alive connection and always one poll in flight. */
export class Pollers {
  readonly tally = new Tally()
  polls = 0
  readonly #options: PollOptions
  #clients: PollClient[] = []
  #isOpen = true
  #failure: Error | null = null

  constructor(options: PollOptions) {
    this.#options = options
  }

  async open(): Promise<void> {
    const dialect = pollDialects[this.#options.dialect]
    await eachOf(this.#options.connections, 50, async (i) => {
      const client = await PollClient.connect(this.#options.port, this.tally)
      this.#clients[i] = client
      await dialect.start(client)
      void this.#poll(dialect, client).catch((error: Error) => {
        if (this.#isOpen) this.#failure ??= error
      })
    })
  }

  /** Throws the error of a poll, if there was one. */
  check(): void {
    if (this.#failure !== null) throw this.#failure
  }

  close(): void {
    this.#isOpen = false
    for (const client of this.#clients) client.close()
  }

  async #poll(dialect: PollDialect, client: PollClient): Promise<void> {
    while (this.#isOpen) {
      await dialect.poll(client)
      this.polls++
    }
  }
}

/** One keep-alive HTTP connection, with one exchange at a time. */
export class PollClient {
  /** The state of the dialect, such as a token or a cursor. */
  readonly state: Record<string, string> = {}
  readonly #tally: Tally
  readonly #index: number
  readonly #port: number
  readonly #socket: net.Socket
  #received: Buffer | null = null
  #resolve: ((answer: Answer) => void) | null = null
  #reject: ((error: Error) => void) | null = null

  static async connect(port: number, tally: Tally): Promise<PollClient> {
    const client = new PollClient(port, tally)
    await once(client.#socket, 'connect')
    return client
  }

  private constructor(port: number, tally: Tally) {
    this.#tally = tally
    this.#index = tally.addConnection()
    this.#port = port
    const onread = {
      buffer: shared,
      callback: (bytes: number, buffer: Uint8Array) => {
        this.#read((buffer as Buffer).subarray(0, bytes))
        return true
      },
    }
    this.#socket = net.connect({ port, host: '127.0.0.1', noDelay: true, onread })
    this.#socket.on('error', (error) => this.#reject?.(error))
    this.#socket.on('close', () => this.#reject?.(new Error('The peer closed the connection of a poll.')))
  }

  get(path: string, headers = ''): Promise<Answer> {
    return this.#exchange(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${this.#port}\r\n${headers}\r\n`)
  }

  post(path: string, body: string, type = 'application/json'): Promise<Answer> {
    return this.#exchange(
      `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${this.#port}\r\nContent-Type: ${type}\r\n` +
        `Content-Length: ${body.length}\r\n\r\n${body}`,
    )
  }

  close(): void {
    this.#socket.resetAndDestroy()
  }

  #exchange(request: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
      this.#socket.write(request, 'latin1')
    })
  }

  /** Most answers are one chunk. They are read in place, and their messages are counted without decoding. */
  #read(chunk: Buffer): void {
    const bytes = this.#received === null ? chunk : Buffer.concat([this.#received, chunk])
    const end = bytes.indexOf('\r\n\r\n')
    const head = end < 0 ? '' : bytes.toString('latin1', 0, end)
    const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0)
    if (end < 0 || bytes.length < end + 4 + length) {
      this.#received = Buffer.from(bytes)
      return
    }
    this.#received = null
    this.#tally.beginChunk()
    for (const number of numbersIn(bytes, end + 4, bytes.length)) this.#tally.count(this.#index, number)
    this.#resolve?.({ head, text: bytes.toString('utf8', end + 4) })
    this.#tally.afterChunk?.()
  }
}
