import { types } from 'node:util'
import { BroadcasterError } from '../errors.ts'
import { describe } from './json.ts'

/**
 * Converts a body to the argument of PUBLISH: text stays text, bytes stay bytes, everything else becomes JSON.
 *
 * @throws {BroadcasterError} `invalidOption`, if JSON cannot represent the body
 */
export function toPayload(body: unknown): string | Buffer {
  if (typeof body === 'string') return body
  // Bytes are copied, because they may be written later, and the caller may change its buffer until then.
  if (ArrayBuffer.isView(body)) return Buffer.from(bytesOf(body.buffer, body.byteOffset, body.byteLength))
  if (types.isAnyArrayBuffer(body)) return Buffer.from(bytesOf(body, 0, body.byteLength))
  let text: string | undefined
  try {
    text = JSON.stringify(body)
  } catch (error) {
    throw noJson((error as Error).message, error)
  }
  if (text === undefined) throw noJson(`got ${describe(body)}`)
  return text
}

function bytesOf(buffer: ArrayBufferLike, offset: number, length: number): Uint8Array {
  return new Uint8Array(buffer, offset, length)
}

function noJson(reason: string, cause?: unknown): BroadcasterError {
  const message = `publish(): the body cannot be converted to JSON: ${reason}`
  return new BroadcasterError('invalidOption', message, cause === undefined ? {} : { cause })
}
