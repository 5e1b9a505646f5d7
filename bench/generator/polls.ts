import { once } from 'node:events'
import net from 'node:net'
import { performance } from 'node:perf_hooks'
import { channelName } from './channels.ts'
import { pollDialects, type PollDialect, type PollDialectName } from './pollDialects.ts'
import { numbersIn } from './frames.ts'
import { eachOf } from './group.ts'
import { Tally } from './tally.ts'

export type PollOptions = {
  readonly port: number
  readonly dialect: PollDialectName
  readonly connections: number
  /** The number of different channels, which clients get in turn. The default is one. */
  readonly channels?: number
  /** The index of the first channel. */
  readonly firstChannel?: number
}

export type Answer = { readonly head: string; readonly text: string }

const shared = Buffer.allocUnsafe(65536)

/** Long-poll clients. Each has one keep-alive connection and always one poll in flight. */
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

  /** Authenticates and subscribes all clients, without polls. Returns the seconds that this took. */
  async start(): Promise<number> {
    const begin = performance.now()
    await eachOf(this.#options.connections, 50, async (i) => void (await this.#start(i)))
    return (performance.now() - begin) / 1000
  }

  async open(): Promise<void> {
    const dialect = pollDialects[this.#options.dialect]
    await eachOf(this.#options.connections, 50, async (i) => {
      const client = await this.#start(i)
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

  async #start(index: number): Promise<PollClient> {
    const { port, dialect, channels = 1, firstChannel = 0 } = this.#options
    const client = await PollClient.connect(port, this.tally, firstChannel + (index % channels))
    this.#clients[index] = client
    await pollDialects[dialect].start(client)
    return client
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
  readonly channel: string
  /** The state of the dialect, such as a token or a cursor. */
  readonly state: Record<string, string> = {}
  readonly #tally: Tally
  readonly #index: number
  readonly #port: number
  readonly #socket: net.Socket
  #received: Buffer | null = null
  #resolve: ((answer: Answer) => void) | null = null
  #reject: ((error: Error) => void) | null = null

  static async connect(port: number, tally: Tally, channel: number): Promise<PollClient> {
    const client = new PollClient(port, tally, channel)
    await once(client.#socket, 'connect')
    return client
  }

  private constructor(port: number, tally: Tally, channel: number) {
    this.channel = channelName(channel)
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
