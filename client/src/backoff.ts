import type { BroadcasterError } from './errors.ts'
import { BACKOFF_BASE_MS, BACKOFF_CAP_MS, RESTART_SPREAD_MS, RETRY_AFTER_CAP_MS } from './times.ts'

/**
 * The wait before this attempt (1, 2, 3, ...). It uses full jitter: a random time between 0 and the exponential limit.
 * So many clients that lost the same server reconnect evenly spread. The wait that the server asked for with the error is added.
 */
export function backoffMs(attempt: number, error?: BroadcasterError): number {
  return jitterMs(Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** (attempt - 1))) + (error?.retryAfterMs ?? 0)
}

/**
 * Reads a `Retry-After` header: a number of seconds, or a date.
 *
 * @returns undefined when there is no header, when it is invalid, or when CORS hides it from the page.
 */
export function readRetryAfter(value: string | null | undefined): number | undefined {
  // `Date.parse` accepts almost anything, even "-5". Dates in HTTP always end with GMT.
  const ms = value?.endsWith('GMT')
    ? Date.parse(value) - Date.now()
    : value && /^\d+$/.test(value)
      ? +value * 1000
      : NaN
  return isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), RETRY_AFTER_CAP_MS)
}

/** The wait before connecting to another node, after this node said that it restarts. */
export function restartMs(): number {
  return jitterMs(RESTART_SPREAD_MS)
}

function jitterMs(limitMs: number): number {
  return Math.floor(Math.random() * limitMs)
}
