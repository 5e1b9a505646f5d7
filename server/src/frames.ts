import type { ServerMessage } from '@broadcaster/protocol'
import type { Entry } from './log.ts'
import { formatPosition } from './position.ts'

/** An unmasked, unfragmented text frame (RFC 6455 5.2): one buffer that any number of sockets can be given. */
export function textFrame(text: string): Buffer {
  const length = Buffer.byteLength(text)
  const headerBytes = length < 126 ? 2 : length < 65536 ? 4 : 10
  const frame = Buffer.allocUnsafe(headerBytes + length)
  frame[0] = 0x81
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
  frame.write(text, headerBytes)
  return frame
}

export function messageFrame(message: ServerMessage): Buffer {
  return textFrame(JSON.stringify(message))
}

/**
 * A `message` as JSON text. Keys are in the original's order. `channelJson` is the channel's name as JSON, made once
 * a channel.
 */
export function entryText(entry: Entry, channelJson: string, withPosition: boolean): string {
  const text = `{"__type":"message","body":${entry.json},"channel":${channelJson}`
  return withPosition ? `${text},"position":"${formatPosition(entry)}"}` : `${text}}`
}

/** The entries of a replay, as the JSON text of `subscribeOk`'s `messages`. */
export function replayText(entries: readonly Entry[]): string {
  return `[${entries.map((entry) => `[${entry.json},"${formatPosition(entry)}"]`).join(',')}]`
}
