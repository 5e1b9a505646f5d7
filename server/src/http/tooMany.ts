import type { Response } from 'express'

/** How long a client waits whose address has no room: until others have left. */
export const NO_ROOM_RETRY_SECONDS = 5

/** The head of a 429. A page of another origin may read `Retry-After` only if it is named. */
export function setTooMany(res: Response, retryAfterSeconds: number): Response {
  return res
    .status(429)
    .set('Retry-After', String(retryAfterSeconds))
    .set('Access-Control-Expose-Headers', 'Retry-After')
}
