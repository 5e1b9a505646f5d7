import { types } from 'node:util'
import { BroadcasterError } from '../errors.ts'
import { describe } from './json.ts'

/**
 * The body of a PUBLISH: text as it is, bytes as they are, everything else as JSON.
 *
 * @throws {BroadcasterError} `invalidOption`, for what is no JSON
 */
export function toPayload(body: unknown): string | Buffer {
  if (typeof body === 'string') return body
  // Copies, since it may be a while until they are written, and the caller may go on using his.
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
  const message = `publish(): the body is no JSON: ${reason}`
  return new BroadcasterError('invalidOption', message, cause === undefined ? {} : { cause })
}
