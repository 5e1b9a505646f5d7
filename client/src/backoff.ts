export const BACKOFF_BASE_MS = 500
export const BACKOFF_CAP_MS = 20_000

/** A server that restarts sends all its clients away at once; this is what they spread over. */
const RESTART_SPREAD_MS = 1_000

/**
 * How long to wait before the attempt of this number (1, 2, 3, ...). Full jitter, that is anything from nothing
 * to the exponential limit: many clients that lost the same server come back evenly spread.
 */
export function backoffMs(attempt: number): number {
  return jitterMs(Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** (attempt - 1)))
}

/** How long to wait before going to another node when this one says that it restarts. */
export function restartMs(): number {
  return jitterMs(RESTART_SPREAD_MS)
}

function jitterMs(limitMs: number): number {
  return Math.floor(Math.random() * limitMs)
}
