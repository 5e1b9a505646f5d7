import type { GapReason, ServerMessage } from '@broadcaster/protocol'
import { constants, deflateRawSync } from 'node:zlib'
import type { ResolvedOptions } from '../options.ts'
import type { Entry } from './log.ts'
import { formatPosition } from './position.ts'

/** The format of a subscriber's messages. Subscribers with the same format share the same buffers. */
export interface FrameFormat {
  readonly positions: boolean
  readonly compressed: boolean
}

/** Options of `node:zlib`. */
export interface DeflateOptions {
  readonly level: number | undefined
  readonly memLevel: number | undefined
  readonly strategy: number | undefined
}

/** Messages of at least this size are compressed, for clients that accept it. */
export interface Compression {
  readonly thresholdBytes: number
  readonly options: DeflateOptions
}

/** Reads the options of `ws` for compression. Our own compression replaces that of `ws`. `null`: messages are not compressed. */
export function compressionOf({ perMessageDeflate }: ResolvedOptions['webSocket']): Compression | null {
  if (perMessageDeflate === undefined || perMessageDeflate === false) return null
  const { threshold = 1024, zlibDeflateOptions = {} } = perMessageDeflate === true ? {} : perMessageDeflate
  const { level, memLevel, strategy } = zlibDeflateOptions
  return { thresholdBytes: threshold, options: { level, memLevel, strategy } }
}

const TEXT = 0x81
/** A text frame with RSV1 set: the payload is deflated (RFC 7692 6). */
const COMPRESSED_TEXT = 0xc1

/** An unmasked, unfragmented text frame (RFC 6455 5.2). The same buffer can be written to any number of sockets. */
export function textFrame(text: string): Buffer {
  const length = Buffer.byteLength(text)
  const frame = frameFor(TEXT, length)
  // Most texts are ASCII, and `latin1` copies them several times faster than `utf8`.
  frame.write(text, frame.length - length, length === text.length ? 'latin1' : 'utf8')
  return frame
}

/** The maximum length of a text for {@link asciiFrame}. Node writes longer strings in a slower way. */
const MAX_ASCII = 4096

/**
 * As {@link textFrame}, but as a string in `latin1`. If a frame is written to one socket only, that is cheaper than to make a buffer.
 * `null` if the text is long or is not ASCII.
 */
export function asciiFrame(text: string): string | null {
  const { length } = text
  if (length > MAX_ASCII || Buffer.byteLength(text) !== length) return null
  const header =
    length < 126
      ? String.fromCharCode(TEXT, length)
      : String.fromCharCode(TEXT, 126, length >> 8, length & 0xff)
  return header + text
}

/**
 * A compressed text frame. It is compressed once for all clients that accept it, without context takeover (RFC 7692
 * 7.1.1), so that it does not depend on earlier messages of a socket.
 */
export function compressedTextFrame(text: string, options: DeflateOptions): Buffer {
  const deflated = deflateRawSync(text, { ...options, finishFlush: constants.Z_SYNC_FLUSH })
  // A sync flush ends with 00 00 ff ff, which must be removed (RFC 7692 7.2.1).
  const payload = deflated.subarray(0, deflated.length - 4)
  const frame = frameFor(COMPRESSED_TEXT, payload.length)
  payload.copy(frame, frame.length - payload.length)
  return frame
}

/** Allocates a frame with its header written, and with room for the payload. */
function frameFor(firstByte: number, length: number): Buffer {
  const headerBytes = length < 126 ? 2 : length < 65536 ? 4 : 10
  const frame = Buffer.allocUnsafe(headerBytes + length)
  frame[0] = firstByte
  if (length < 126) {
    frame[1] = length
  } else if (length < 65536) {
    frame[1] = 126
    frame.writeUInt16BE(length, 2)
  } else {
    frame[1] = 127
    frame.writeUInt32BE(Math.floor(length / 2 ** 32), 2)
    frame.writeUInt32BE(length >>> 0, 6)
  }
  return frame
}

export function messageFrame(message: ServerMessage): Buffer {
  return textFrame(JSON.stringify(message))
}

/**
 * A `message` as JSON text. The keys have the order of the original. `channelJson` is the name of the channel as JSON,
 * which is encoded once per channel.
 */
export function entryText(entry: Entry, channelJson: string, withPosition: boolean): string {
  const text = `{"__type":"message","body":${entry.json},"channel":${channelJson}`
  return withPosition ? `${text},"position":"${formatPosition(entry)}"}` : `${text}}`
}

export interface SubscribedText {
  readonly position: string
  readonly missed: readonly Entry[]
  /** The result for the position that the client sent; `null` if it sent none. */
  readonly resumed: { readonly gap: GapReason | null } | null
  /** The older messages; `null` if the client did not ask for any. */
  readonly history: readonly Entry[] | null
}

/** `subscribeOk` with its additions, as JSON text. */
export function subscribedText(
  channelJson: string,
  { position, missed, resumed, history }: SubscribedText,
): string {
  const recovered =
    resumed === null
      ? ''
      : resumed.gap === null
        ? ',"recovered":true'
        : `,"recovered":false,"reason":"${resumed.gap}"`
  const fields = `{"__type":"subscribeOk","channel":${channelJson},"position":"${position}"${recovered}`
  const head = history === null ? fields : listText(`${fields},"history":[`, history, ']')
  return missed.length === 0 ? `${head}}` : listText(`${head},"messages":[`, missed, ']}')
}

/** The entries as JSON text between `head` and `tail`. A single `join` makes only one copy of a long text. */
function listText(head: string, entries: readonly Entry[], tail: string): string {
  if (entries.length === 0) return head + tail
  const texts = entries.map((entry) => `[${entry.json},"${formatPosition(entry)}"]`)
  texts[0] = head + texts[0]!
  texts[texts.length - 1] += tail
  return texts.join(',')
}
