import type { Request } from 'express'

/**
 * Reads the body of a request as text and calls back once: with it, or with the HTTP status that says why not. Polls are
 * small and many, and a parser for every kind of body would cost more than everything else that is done with them.
 */
export function readBody(
  req: Request,
  maxBytes: number,
  done: (text: string | null, status: number) => void,
): void {
  if (req.headers['content-encoding'] !== undefined) return done(null, 415)
  if (Number(req.headers['content-length'] ?? 0) > maxBytes) return done(null, 413)
  const parts: Buffer[] = []
  let bytes = 0
  req.on('data', (part: Buffer) => {
    bytes += part.length
    if (bytes <= maxBytes) parts.push(part)
  })
  // A request that breaks off never ends, and nobody is there to be answered.
  req.on('end', () => {
    if (bytes > maxBytes) return done(null, 413)
    done(String(parts.length === 1 ? parts[0] : Buffer.concat(parts)), 200)
  })
}
