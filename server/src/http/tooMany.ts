import type { Response } from 'express'

/**
 * How long a client waits if its address has reached its maximum number of connections. Other clients must leave first.
 */
export const NO_ROOM_RETRY_SECONDS = 5
/** How long a client waits that has sent too many requests. There is at least one token a second. */
export const TOKEN_RETRY_SECONDS = 1

/**
 * Sets the status and headers of a 429. A page of another origin can read `Retry-After` only if it is exposed by CORS. The
 * header names that the application exposes are kept.
 */
export function setTooMany(res: Response, retryAfterSeconds: number): Response {
  return res
    .status(429)
    .set('Retry-After', String(retryAfterSeconds))
    .append('Access-Control-Expose-Headers', 'Retry-After')
}
