import { parseClientMessage, readClientMessage, type Parsed } from '@broadcaster/protocol'
import type { Request } from 'express'
import type { BodyLimits } from './bodyLimits.ts'

/** The parsed body, or the HTTP status for a body that cannot be read. */
export type Body = Parsed | 408 | 413 | 415 | 500 | 503

/**
 * Reads the body of a request and calls back once. Polls are small and frequent, and a general body parser would cost
 * more than the rest of the work for a poll.
 */
export function readBody(req: Request, limits: BodyLimits, done: (body: Body) => void): void {
  const announced = announcedBytes(req)
  if (announced > limits.poll) return done(413)
  // The application has already parsed the body. (`req.body` is no evidence of this, because Express 4 always sets it.)
  if (req.readableEnded) return done(parsedBefore(req, limits))
  // Other middleware has already read the first part of the body.
  if (req.readableDidRead) return void req.once('end', () => done(parsedBefore(req, limits))).resume()
  if (req.headers['content-encoding'] !== undefined) return done(415)
  const parts: Buffer[] = []
  let bytes = 0
  let maxBytes = limits.message
  /** The bytes that count for all bodies that are being received. */
  let held = 0
  const onData = (data: Buffer | string) => {
    // The data is a string if other middleware has called `setEncoding`.
    const part = typeof data === 'string' ? Buffer.from(data, req.readableEncoding ?? 'utf8') : data
    bytes += part.length
    parts.push(part)
    // Only a poll may be larger than a message. Its type comes before its positions, so it is in the first bytes.
    if (bytes > maxBytes && Buffer.concat(parts).includes('"poll"')) maxBytes = limits.poll
    if (bytes > maxBytes) return giveUp(413)
    // The common case: this part is the whole body.
    if (bytes === announced) return
    if (held === 0) req.once('close', release)
    held += part.length
    if (!limits.receive(part.length)) giveUp(503)
  }
  const release = () => {
    limits.release(held)
    held = 0
    req.off('close', release)
  }
  const onEnd = () => {
    limits.deadlines.delete(late)
    // A poll waits for long after this. Its listeners would retain the bytes.
    req.off('data', onData).off('end', onEnd)
    if (held > 0) release()
    const parsed = parseClientMessage(String(Buffer.concat(parts)))
    done(limits.isOver(bytes, parsed) ? 413 : parsed)
  }
  /** Stops reading, because the rest of the body may never end. */
  const giveUp = (status: 408 | 413 | 503) => {
    limits.deadlines.delete(late)
    if (held > 0) release()
    req.off('data', onData).off('end', onEnd)
    done(status)
  }
  const late = () => giveUp(408)
  limits.deadlines.add(late)
  // An aborted request emits no `end`, and needs no answer.
  req.on('data', onData).on('end', onEnd)
  // Other middleware may have paused the request and not resumed it.
  req.resume()
}

/** The body as other middleware has parsed it; 500 if it left none. */
function parsedBefore(req: Request, limits: BodyLimits): Body {
  const { body } = req
  if (body === undefined) return 500
  const text: unknown = Buffer.isBuffer(body) ? body.toString() : body
  const parsed = typeof text === 'string' ? parseClientMessage(text) : readClientMessage(text)
  return limits.isOver(announcedBytes(req), parsed) ? 413 : parsed
}

/** The value of `Content-Length`, or 0. */
function announcedBytes({ headers }: Request): number {
  return Number(headers['content-length'] ?? 0)
}
