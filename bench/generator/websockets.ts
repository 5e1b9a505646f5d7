import net from 'node:net'
import { constants, inflateRawSync } from 'node:zlib'
import { dialects, type Dialect, type DialectName, type Speaker, type Subscribed } from './dialects.ts'
import { clientFrame, FrameReader, numbersIn, type FrameHandler } from './frames.ts'
import type { Tally } from './tally.ts'

const TEXT = 1
const CLOSE = 8
const PING = 9
const PONG = 10

/** All connections read into this one buffer. Each chunk is processed before the next read. */
const shared = Buffer.allocUnsafe(65536)

export type ConnectionOptions = {
  readonly port: number
  readonly dialect: DialectName
  readonly channels: readonly number[]
  /** The extensions to offer, like a browser. */
  readonly extensions?: string | undefined
  readonly position?: string | undefined
  /** The index in the tally of the connection that this one replaces, if there is one. */
  readonly index?: number | undefined
}

/** What a connection reports to the other parts of the generator. */
export type ConnectionEvents = {
  readonly tally: Tally
  /** Whether frames may be compressed. */
  readonly isDeflated: boolean
  /** Called with the text of a message when its number arrives for the first time. */
  readonly firstSeen?: (number: number, text: string) => void
  onGap(): void
  /** The first compressed message of a connection has arrived, and its content is correct. */
  onDeflated(): void
  /** The peer closed or refused the connection. */
  onLost(connection: Connection): void
}

/** One WebSocket connection. It makes the handshake itself and reads frames in place. */
export class Connection implements Speaker {
  readonly index: number
  readonly channels: readonly number[]
  readonly position: string | undefined
  /** The answer to its subscription. */
  subscribed: Subscribed | undefined
  /** The inflated data so far, which is the dictionary of the next frame. `null` when frames are no longer inflated. */
  deflated: Buffer | null = Buffer.alloc(0)
  readonly #dialect: Dialect
  readonly #events: ConnectionEvents
  readonly #socket: net.Socket
  readonly #reader: FrameReader<Connection>
  #head: Buffer | null = Buffer.alloc(0)
  #awaited: number
  #resolve: (() => void) | null = null
  #reject: ((error: Error) => void) | null = null

  /** Resolves when all channels are subscribed. */
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
    // These are counted at once, because live messages may follow in the same chunk.
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

  /** Stops reading. The buffers of the kernel fill up, then those of the peer. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  /** Resets the connection. A normal close would leave a socket in TIME_WAIT, which is too much for 10,000 connections. */
  close(): void {
    this.#socket.removeAllListeners('close')
    this.#socket.resetAndDestroy()
  }

  /** Inflates a compressed frame. Returns whether it is a message. */
  inflate(payload: Buffer): boolean {
    // The peer's compressor may refer to the data of earlier frames.
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
 * Compressed frames are counted and dropped like others. Only the frames up to the first message are inflated: the answers to
 * the handshake and the subscription, and one message, to check that the peer sends correct content.
 */
const deflatedFrames: Pick<FrameHandler<Connection>, 'compressed' | 'wantsCompressed'> = {
  wantsCompressed: (connection) => connection.deflated !== null,
  compressed: (connection, payload) => connection.inflate(payload),
}

const handlers = new WeakMap<ConnectionEvents, FrameHandler<Connection>>()

/** One handler for all connections of a run, to save the closures for each of them. */
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
