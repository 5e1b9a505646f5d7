import { parseClientMessage, readClientMessage, type Parsed } from '@broadcaster/protocol'
import type { Request } from 'express'

/** The parsed body, or the HTTP status for a body that cannot be read. */
export type Body = Parsed | 408 | 413 | 415 | 500

/** The maximum time for the whole body, in ms. */
const BODY_MS = 10_000

/**
 * Reads the body of a request and calls back once. Polls are small and frequent, and a general body parser would cost
 * more than the rest of the work for a poll.
 */
export function readBody(req: Request, maxBytes: number, done: (body: Body) => void): void {
  if (Number(req.headers['content-length'] ?? 0) > maxBytes) return done(413)
  // The application has already parsed the body. (`req.body` is no evidence of this, because Express 4 always sets it.)
  if (req.readableEnded) return done(parsedBefore(req))
  // Other middleware has already read the first part of the body.
  if (req.readableDidRead) return void req.once('end', () => done(parsedBefore(req))).resume()
  if (req.headers['content-encoding'] !== undefined) return done(415)
  const parts: Buffer[] = []
  let bytes = 0
  const onData = (data: Buffer | string) => {
    // The data is a string if other middleware has called `setEncoding`.
    const part = typeof data === 'string' ? Buffer.from(data, req.readableEncoding ?? 'utf8') : data
    bytes += part.length
    if (bytes <= maxBytes) return void parts.push(part)
    giveUp(413)
  }
  const onEnd = () => {
    clearTimeout(timer)
    done(parseClientMessage(String(parts.length === 1 ? parts[0] : Buffer.concat(parts))))
  }
  /** Stops reading, because the rest of the body may never end. */
  const giveUp = (status: 408 | 413) => {
    clearTimeout(timer)
    req.off('data', onData).off('end', onEnd)
    done(status)
  }
  const timer = setTimeout(giveUp, BODY_MS, 408)
  // An aborted request emits no `end`, and needs no answer.
  req.on('data', onData).on('end', onEnd)
  // Other middleware may have paused the request and not resumed it.
  req.resume()
}

/** The body as other middleware has parsed it; 500 if it left none. */
function parsedBefore({ body }: Request): Body {
  if (body === undefined) return 500
  const text: unknown = Buffer.isBuffer(body) ? body.toString() : body
  return typeof text === 'string' ? parseClientMessage(text) : readClientMessage(text)
}
