/** The callbacks of a `FrameReader`. All connections share one handler, so reading a message allocates nothing. */
export type FrameHandler<T> = {
  /** Whether the payload that begins at `start` is a relayed message. Other payloads are answers of the peer. */
  isMessage(chunk: Buffer, start: number): boolean
  /** A whole message has arrived. `number` is its number from the publisher, or -1 if it can't be read. */
  message(connection: T, number: number): void
  /** Called before `message` with the part of the payload that has arrived. This is at least its first `PEEK` bytes. */
  payload?(connection: T, number: number, chunk: Buffer, start: number, end: number): void
  /**
   * Called with a whole compressed frame if `wantsCompressed` is true. Returns whether it is a message. All other compressed
   * frames count as messages.
   */
  compressed?(connection: T, payload: Buffer): boolean
  wantsCompressed?(connection: T): boolean
  /** Called with a whole frame of any other kind. */
  control(connection: T, opcode: number, text: string): void
}

/** The number of a message must be within this number of bytes from the beginning of its payload. */
export const PEEK = 256

/** A body contains its number as `@` and eight digits. Nothing else that a peer sends contains an `@`. */
const MARK = 0x40
const DIGITS = 8

const TEXT = 1
const BINARY = 2

/**
 * Reads the WebSocket frames of one connection from chunks that are overwritten after each call. It reads a message in
 * place: the header, one byte that tells its type, and the eight digits of its number. It copies only the beginning of a frame
 * of which a chunk has too little. The rest of a large message is only counted.
 */
export class FrameReader<T> {
  readonly #connection: T
  readonly #handler: FrameHandler<T>
  /** The beginning of a frame, if there is too little of it to read it. */
  #carry: Buffer | null = null
  /** How many bytes of the current message are missing, and its number. */
  #rest = 0
  #number = -1
  /** The offset of the mark in the last message. It usually is the same in the next one. */
  #markAt = 0

  constructor(connection: T, handler: FrameHandler<T>) {
    this.#connection = connection
    this.#handler = handler
  }

  read(chunk: Buffer, length: number): void {
    let at = 0
    if (this.#rest > 0) {
      at = Math.min(this.#rest, length)
      this.#rest -= at
      if (this.#rest > 0) return
      this.#handler.message(this.#connection, this.#number)
    } else if (this.#carry !== null) {
      chunk = Buffer.concat([this.#carry, chunk.subarray(0, length)])
      length = chunk.length
      this.#carry = null
    }
    while (at < length) {
      const next = this.#frame(chunk, at, length)
      if (next < 0) {
        this.#carry = Buffer.from(chunk.subarray(at, length))
        return
      }
      at = next
    }
  }

  /** Reads the frame at `at`. Returns the offset of the next one, or -1 if there is too little of it. */
  #frame(chunk: Buffer, at: number, length: number): number {
    if (length - at < 2) return -1
    const first = chunk[at]!
    if ((first & 0x80) === 0) throw new Error('The generator does not read fragmented messages.')
    const opcode = first & 0x0f
    let size = chunk[at + 1]! & 0x7f
    let start = at + 2
    if (size === 126) {
      if (length - at < 4) return -1
      size = chunk.readUInt16BE(at + 2)
      start = at + 4
    } else if (size === 127) {
      if (length - at < 10) return -1
      size = chunk.readUInt32BE(at + 6)
      start = at + 10
    }
    const end = start + size

    const isCompressed = (first & 0x40) !== 0
    if (isCompressed && this.#handler.wantsCompressed?.(this.#connection)) {
      if (end > length) return -1
      if (!this.#handler.compressed!(this.#connection, chunk.subarray(start, end))) return end
    }
    if (!isCompressed && length - start < Math.min(size, PEEK)) return -1
    if (!isCompressed && !((opcode === TEXT || opcode === BINARY) && this.#handler.isMessage(chunk, start))) {
      if (end > length) return -1
      this.#handler.control(this.#connection, opcode, chunk.toString('utf8', start, end))
      return end
    }

    const number = isCompressed ? -1 : this.#readNumber(chunk, start, Math.min(end, start + PEEK))
    this.#handler.payload?.(this.#connection, number, chunk, start, Math.min(end, length))
    if (end > length) {
      this.#rest = end - length
      this.#number = number
      return length
    }
    this.#handler.message(this.#connection, number)
    return end
  }

  #readNumber(chunk: Buffer, start: number, end: number): number {
    let mark = start + this.#markAt
    if (chunk[mark] !== MARK || mark + DIGITS >= end) {
      mark = chunk.indexOf(MARK, start)
      if (mark < 0 || mark + DIGITS >= end) return -1
      this.#markAt = mark - start
    }
    return readDigits(chunk, mark + 1)
  }
}

export function readDigits(chunk: Buffer, at: number): number {
  let number = 0
  for (let i = 0; i < DIGITS; i++) number = number * 10 + chunk[at + i]! - 48
  return number
}

/** The numbers of all messages in a text that holds several, such as a long-poll answer. */
export function* numbersIn(chunk: Buffer, start: number, end: number): Generator<number> {
  for (let at = chunk.indexOf(MARK, start); at >= 0 && at + DIGITS < end; at = chunk.indexOf(MARK, at + 1)) {
    yield readDigits(chunk, at + 1)
  }
}

export function formatNumber(number: number): string {
  return `@${String(number).padStart(DIGITS, '0')}`
}

/** A client's text frame. Its mask is zero, so the payload is unchanged. RFC 6455 allows this. */
export function clientFrame(text: string, opcode = TEXT): Buffer {
  const payload = Buffer.from(text)
  if (payload.length > 0xffff) throw new Error(`The generator sends no frames of ${payload.length} bytes.`)
  const header =
    payload.length < 126
      ? Buffer.from([0x80 | opcode, 0x80 | payload.length, 0, 0, 0, 0])
      : Buffer.from([0x80 | opcode, 0x80 | 126, payload.length >> 8, payload.length & 0xff, 0, 0, 0, 0])
  return Buffer.concat([header, payload])
}
