import { parseClientMessage, readClientMessage, type Parsed } from '@broadcaster/protocol'
import type { Request } from 'express'

/** What a body turned out to be, or the HTTP status that says why it can't be read. */
export type Body = Parsed | 408 | 413 | 415 | 500

/** How long a body may take, in ms. */
const BODY_MS = 10_000

/**
 * Reads the body of a request and calls back once. Polls are small and many, and a parser for every kind of body would
 * cost more than everything else that is done with them.
 */
export function readBody(req: Request, maxBytes: number, done: (body: Body) => void): void {
  if (Number(req.headers['content-length'] ?? 0) > maxBytes) return done(413)
  // An application that parses bodies itself has done so already. (Not `req.body`: Express 4 sets that in any case.)
  if (req.readableEnded) return done(parsedBefore(req))
  // Somebody else has had the first part of it.
  if (req.readableDidRead) return void req.once('end', () => done(parsedBefore(req))).resume()
  if (req.headers['content-encoding'] !== undefined) return done(415)
  const parts: Buffer[] = []
  let bytes = 0
  const onData = (data: Buffer | string) => {
    // Text, if somebody has asked for it to be text.
    const part = typeof data === 'string' ? Buffer.from(data, req.readableEncoding ?? 'utf8') : data
    bytes += part.length
    if (bytes <= maxBytes) return void parts.push(part)
    giveUp(413)
  }
  const onEnd = () => {
    clearTimeout(timer)
    done(parseClientMessage(String(parts.length === 1 ? parts[0] : Buffer.concat(parts))))
  }
  /** The rest may never end. */
  const giveUp = (status: 408 | 413) => {
    clearTimeout(timer)
    req.off('data', onData).off('end', onEnd)
    done(status)
  }
  const timer = setTimeout(giveUp, BODY_MS, 408)
  // A request that breaks off never ends, and nobody is there to be answered.
  req.on('data', onData).on('end', onEnd)
  // Somebody may have stopped it, and not have gone on.
  req.resume()
}

/** What somebody else has made of the body; 500 if that is nothing. */
function parsedBefore({ body }: Request): Body {
  if (body === undefined) return 500
  const text: unknown = Buffer.isBuffer(body) ? body.toString() : body
  return typeof text === 'string' ? parseClientMessage(text) : readClientMessage(text)
}
