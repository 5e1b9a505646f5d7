import { deflateRawSync } from 'node:zlib'
import type { Random } from '../simulation/random.ts'
import { message } from './messages.ts'
import { bytes } from './words.ts'

type Frame = {
  readonly opcode: number
  readonly payload: Buffer
  readonly isLast?: boolean
  /** The three reserved bits. */
  readonly reserved?: number
  readonly isMasked?: boolean
  /** The length in the header, if it is wrong. */
  readonly length?: number
}

const [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG] = [0, 1, 2, 8, 9, 10]
/** The limit of the application. */
const MAX_MESSAGE_BYTES = 64 * 1024

/** A client's frame with a message. */
export function textFrame(text: string): Buffer {
  return encode({ opcode: TEXT, payload: Buffer.from(text) })
}

/** One or more frames that belong together: correct ones, and all kinds that a receiver has to refuse. */
export function frames(random: Random): Buffer {
  const kind = random.weighted({
    text: 14,
    binary: 2,
    fragments: 2,
    control: 2,
    interleaved: 1,
    compressed: 1,
    close: 1,
    large: 0.5,
    broken: 2,
    bytes: 0.5,
  })
  const text = () => Buffer.from(message(random))
  switch (kind) {
    case 'text':
      return encode({ opcode: TEXT, payload: text() })
    case 'binary':
      return encode({ opcode: BINARY, payload: random.chance(0.5) ? text() : bytes(random, 40) })
    case 'fragments':
      return fragments(random, text(), false)
    case 'interleaved':
      return fragments(random, text(), true)
    case 'control':
      return encode({ opcode: random.pick([PING, PONG]), payload: bytes(random, random.between(0, 125)) })
    case 'compressed':
      return compressed(random, text())
    case 'close':
      return close(random)
    case 'large':
      return large(random)
    case 'broken':
      return broken(random)
    case 'bytes':
      return bytes(random, random.between(1, 200))
  }
}

function encode(frame: Frame): Buffer {
  const { opcode, payload, isLast = true, reserved = 0, isMasked = true, length = payload.length } = frame
  const header = [(isLast ? 0x80 : 0) | (reserved << 4) | opcode]
  const masked = isMasked ? 0x80 : 0
  if (length < 126) header.push(masked | length)
  else if (length < 65_536) header.push(masked | 126, length >> 8, length & 0xff)
  else {
    const eight = Buffer.alloc(8)
    eight.writeBigUInt64BE(BigInt(length))
    header.push(masked | 127, ...eight)
  }
  // The mask is zero, so that placeholders of tokens can be replaced in the masked frame.
  return Buffer.concat([Buffer.from(header), isMasked ? Buffer.alloc(4) : Buffer.alloc(0), payload])
}

function fragments(random: Random, payload: Buffer, isInterleaved: boolean): Buffer {
  const parts: Buffer[] = []
  const count = random.between(2, 5)
  for (let i = 0; i < count; i++) {
    const from = Math.floor((payload.length * i) / count)
    const part = payload.subarray(from, Math.floor((payload.length * (i + 1)) / count))
    parts.push(encode({ opcode: i === 0 ? TEXT : CONTINUATION, payload: part, isLast: i === count - 1 }))
    if (isInterleaved) parts.push(encode({ opcode: PING, payload: Buffer.from(String(i)) }))
  }
  // The last fragment may be missing.
  return Buffer.concat(random.chance(0.8) ? parts : parts.slice(0, -1))
}

/** A frame with permessage-deflate: correct, garbage, a bomb, or without negotiation. */
function compressed(random: Random, payload: Buffer): Buffer {
  const deflated = () => deflateRawSync(payload, { finishFlush: 2 }).subarray(0, -4)
  const data = random.pick([
    deflated,
    () => bytes(random, 60),
    () => deflateRawSync(Buffer.alloc(4 * 1024 * 1024), { finishFlush: 2 }).subarray(0, -4),
    () => deflated().subarray(2),
    () => Buffer.alloc(0),
  ])()
  return encode({ opcode: TEXT, payload: data, reserved: 4, isLast: random.chance(0.9) })
}

/** A close frame with a permitted or forbidden code, a reason that may not be UTF-8, and possibly more frames after it. */
function close(random: Random): Buffer {
  const code = Buffer.alloc(2)
  code.writeUInt16BE(random.pick([1000, 1001, 1005, 1006, 1015, 0, 999, 3000, 4000, 4999, 5000, 65_535]))
  const payload = random.pick([
    Buffer.alloc(0),
    Buffer.from([1]),
    code,
    Buffer.concat([code, Buffer.from([0xff, 0xfe])]),
    Buffer.concat([code, Buffer.from('x'.repeat(123))]),
  ])
  const frame = encode({ opcode: CLOSE, payload })
  return random.chance(0.5) ? frame : Buffer.concat([frame, textFrame(message(random)), frame])
}

function large(random: Random): Buffer {
  const bytesOver = random.pick([0, 1, 1000])
  return random.pick([
    () => encode({ opcode: TEXT, payload: Buffer.alloc(MAX_MESSAGE_BYTES + bytesOver, 'x') }),
    // The payload never arrives.
    () => encode({ opcode: TEXT, payload: Buffer.alloc(0), length: MAX_MESSAGE_BYTES }),
    () => encode({ opcode: BINARY, payload: Buffer.alloc(10), length: Number.MAX_SAFE_INTEGER }),
    () => Buffer.concat([encode({ opcode: TEXT, payload: Buffer.alloc(0), isLast: false }), empties()]),
  ])()
}

/** Empty fragments, which need work of the receiver. */
function empties(): Buffer {
  const one = encode({ opcode: CONTINUATION, payload: Buffer.alloc(0), isLast: false })
  return Buffer.concat(Array.from({ length: 3000 }, () => one))
}

function broken(random: Random): Buffer {
  const payload = Buffer.from(message(random))
  return encode(
    random.pick<Frame>([
      { opcode: TEXT, payload, isMasked: false },
      { opcode: random.pick([3, 4, 5, 6, 7, 11, 12, 15]), payload },
      { opcode: TEXT, payload, reserved: random.pick([1, 2, 3, 4, 7]) },
      { opcode: CONTINUATION, payload },
      { opcode: PING, payload: Buffer.alloc(126) },
      { opcode: CLOSE, payload: Buffer.alloc(0), isLast: false },
      { opcode: TEXT, payload: Buffer.from([0xc3, 0x28, 0xed, 0xa0, 0x80]) },
    ]),
  )
}
