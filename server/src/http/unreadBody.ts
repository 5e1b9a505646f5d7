import type { Request, Response } from 'express'
import type { Socket } from 'node:net'

/** How long a client may continue to send after the answer, in ms. */
const LINGER_MS = 2000

/**
 * Answers a request before its body has been read. Node would read and discard the whole rest, so a client could send
 * without end. If the rest may be long, the connection is closed after the answer.
 */
export function answerUnread(req: Request, res: Response, status: number, maxBytes: number): void {
  if (mayBeLong(req, maxBytes)) {
    res.set('Connection', 'close')
    closeSlowly(req.socket)
  }
  res.status(status).end()
}

/** Whether more than `maxBytes` may follow. */
function mayBeLong({ headers, complete }: Request, maxBytes: number): boolean {
  if (complete) return false
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > maxBytes
}

/**
 * Delays the close of the socket after the answer. Node would close it at once. If the client were still sending, it
 * would get a reset, and many clients discard the answer then. So only our side is closed at first (RFC 9112, section
 * 9.6).
 */
function closeSlowly(socket: Socket): void {
  socket.destroySoon = () => {
    socket.end()
    setTimeout(() => socket.destroy(), LINGER_MS).unref()
  }
}
