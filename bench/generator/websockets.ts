import net from 'node:net'
import { constants, inflateRawSync } from 'node:zlib'
import { dialects, type Dialect, type DialectName, type Speaker, type Subscribed } from './dialects.ts'
import { clientFrame, FrameReader, numbersIn, type FrameHandler } from './frames.ts'
import type { Tally } from './tally.ts'

const TEXT = 1
const CLOSE = 8
const PING = 9
const PONG = 10

/** All connections read into this one buffer: what is read is dealt with before the next read. */
const shared = Buffer.allocUnsafe(65536)

export type ConnectionOptions = {
  readonly port: number
  readonly dialect: DialectName
  readonly channels: readonly number[]
  /** The extensions to offer, as a browser would. */
  readonly extensions?: string | undefined
  readonly position?: string | undefined
  /** Where the connection that this one follows was counted. */
  readonly index?: number | undefined
}

/** What the generator's other parts want to know of a connection. */
export type ConnectionEvents = {
  readonly tally: Tally
  /** Whether frames may come compressed. */
  readonly isDeflated: boolean
  /** The text of each message that is the first of its number. */
  readonly firstSeen?: (number: number, text: string) => void
  onGap(): void
  /** The first compressed message of a connection has come, and it was one. */
  onDeflated(): void
  /** The peer closed it, or refused it. */
  onLost(connection: Connection): void
}

/** One WebSocket connection: handshake by hand, frames read in place. */
export class Connection implements Speaker {
  readonly index: number
  readonly channels: readonly number[]
  readonly position: string | undefined
  /** The answer to its subscription. */
  subscribed: Subscribed | undefined
  /** What came compressed so far, as long as that is looked into. */
  deflated: Buffer | null = Buffer.alloc(0)
  readonly #dialect: Dialect
  readonly #events: ConnectionEvents
  readonly #socket: net.Socket
  readonly #reader: FrameReader<Connection>
  #head: Buffer | null = Buffer.alloc(0)
  #awaited: number
  #resolve: (() => void) | null = null
  #reject: ((error: Error) => void) | null = null

  /** Resolves once everything is subscribed. */
  static open(options: ConnectionOptions, events: ConnectionEvents): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const connection: Connection = new Connection(options, events, () => resolve(connection), reject)
    })
  }

  private constructor(
    options: ConnectionOptions,
    events: ConnectionEvents,
    resolve: () => void,
    reject: (error: Error) => void,
  ) {
    this.index = options.index ?? events.tally.addConnection()
    this.channels = options.channels
    this.position = options.position
    this.#dialect = dialects[options.dialect]
    this.#events = events
    this.#awaited = options.channels.length
    this.#resolve = resolve
    this.#reject = reject
    this.#reader = new FrameReader<Connection>(this, handlerFor(options.dialect, events))
    const onread = {
      buffer: shared,
      callback: (bytes: number, buffer: Uint8Array) => {
        this.#read(buffer as Buffer, bytes)
        return true
      },
    }
    this.#socket = net.connect({ port: options.port, host: '127.0.0.1', noDelay: true, onread })
    this.#socket.on('error', (error) => this.fail(error.message))
    this.#socket.on('close', () => this.fail('closed'))
    const extensions = options.extensions ? `Sec-WebSocket-Extensions: ${options.extensions}\r\n` : ''
    this.#socket.write(
      `GET ${this.#dialect.path(this)} HTTP/1.1\r\nHost: 127.0.0.1:${options.port}\r\nConnection: Upgrade\r\n` +
        `Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OTAxMjM0NQ==\r\n` +
        `${extensions}\r\n`,
    )
  }

  send(text: string): void {
    this.#socket.write(clientFrame(text))
  }

  ready(answer?: Subscribed): void {
    this.subscribed = answer
    // Counted here and now: what is live follows in the same chunk.
    for (const [body] of answer?.messages ?? []) {
      const bytes = Buffer.from(body)
      for (const number of numbersIn(bytes, 0, bytes.length)) this.#events.tally.count(this.index, number)
    }
    if (--this.#awaited > 0) return
    this.#resolve?.()
    this.#resolve = this.#reject = null
  }

  gap(): void {
    this.#events.onGap()
  }

  fail(reason: string): void {
    this.#socket.destroy()
    this.#reject?.(new Error(`A connection to the peer failed: ${reason}`))
    const wasReady = this.#reject === null
    this.#resolve = this.#reject = null
    if (wasReady) this.#events.onLost(this)
  }

  /** A reader that has stalled: the kernel's buffers fill up, then the peer's. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  /** Without TIME_WAIT, of which ten thousand connections would leave too many. */
  close(): void {
    this.#socket.removeAllListeners('close')
    this.#socket.resetAndDestroy()
  }

  /** Looks into a compressed frame; whether it is a message. */
  inflate(payload: Buffer): boolean {
    // What came before is what the peer's compressor may point back into.
    const options = { dictionary: this.deflated!, finishFlush: constants.Z_SYNC_FLUSH }
    const content = inflateRawSync(Buffer.concat([payload, Buffer.from([0, 0, 0xff, 0xff])]), options)
    this.deflated = Buffer.concat([this.deflated!, content])
    if (!this.#dialect.isMessage(content, 0)) {
      this.control(TEXT, content.toString())
      return false
    }
    if (numbersIn(content, 0, content.length).next().done) this.fail('a compressed frame holds no message')
    this.deflated = null
    this.#events.onDeflated()
    return true
  }

  control(opcode: number, text: string): void {
    if (opcode === TEXT) this.#dialect.heard(this, text)
    else if (opcode === PING) this.#socket.write(clientFrame(text, PONG))
    else if (opcode === CLOSE) this.fail(`close frame ${text}`)
  }

  #read(chunk: Buffer, bytes: number): void {
    const { tally } = this.#events
    tally.beginChunk()
    if (this.#head === null) this.#reader.read(chunk, bytes)
    else this.#readHandshake(chunk.subarray(0, bytes))
    tally.afterChunk?.()
  }

  #readHandshake(chunk: Buffer): void {
    this.#head = Buffer.concat([this.#head!, chunk])
    const end = this.#head.indexOf('\r\n\r\n')
    if (end < 0) return
    const answer = this.#head.toString('latin1', 0, end)
    if (!answer.startsWith('HTTP/1.1 101')) return this.fail(answer)
    const frames = this.#head.subarray(end + 4)
    this.#head = null
    this.#dialect.opened?.(this)
    if (frames.length > 0) this.#reader.read(frames, frames.length)
  }
}

/**
 * Compressed frames are counted and thrown away like others. Only those before the first message, and that one, are looked
 * into: they are the peer's own talk, and the proof that it really sends what it should.
 */
const deflatedFrames: Pick<FrameHandler<Connection>, 'compressed' | 'wantsCompressed'> = {
  wantsCompressed: (connection) => connection.deflated !== null,
  compressed: (connection, payload) => connection.inflate(payload),
}

const handlers = new WeakMap<ConnectionEvents, FrameHandler<Connection>>()

/** One handler for all connections of a run: a closure less for each of them. */
function handlerFor(dialect: DialectName, events: ConnectionEvents): FrameHandler<Connection> {
  const known = handlers.get(events)
  if (known !== undefined) return known
  const { tally, isDeflated, firstSeen } = events
  let newest = -1
  const handler: FrameHandler<Connection> = {
    isMessage: dialects[dialect].isMessage,
    message: (connection, number) => tally.count(connection.index, number),
    control: (connection, opcode, text) => connection.control(opcode, text),
    ...(isDeflated && deflatedFrames),
    ...(firstSeen && {
      payload: (_: Connection, number: number, chunk: Buffer, start: number, end: number) => {
        if (number <= newest) return
        newest = number
        firstSeen(number, chunk.toString('utf8', start, end))
      },
    }),
  }
  handlers.set(events, handler)
  return handler
}
