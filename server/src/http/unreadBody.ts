import type { Request, Response } from 'express'
import type { Socket } from 'node:net'

/** How long a client may go on sending after it was answered, in ms. */
const LINGER_MS = 2000

/**
 * Answers a request before its body has come. Node would read all of the rest and drop it, so that a client could send for
 * ever; a body that may be long ends with its connection instead.
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
 * Node closes the socket with the answer. What the client sends meanwhile would be answered with a reset then, on which many
 * clients drop the answer too: so it is told first that nothing more comes (RFC 9112, section 9.6).
 */
function closeSlowly(socket: Socket): void {
  socket.destroySoon = () => {
    socket.end()
    setTimeout(() => socket.destroy(), LINGER_MS).unref()
  }
}
