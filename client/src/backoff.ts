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

/** How long to wait after a refusal of too many requests that names no time. */
export const TOO_MANY_REQUESTS_MS = 1_000
/** A day. Nobody waits longer for a page, and a timer overflows after 24 days. */
const RETRY_AFTER_CAP_MS = 86_400_000

/**
 * What a `Retry-After` header asks for: a number of seconds, or a date.
 *
 * @returns undefined when there is no such header, when it can't be read, or when another origin hides it from the page.
 */
export function readRetryAfter(value: string | null | undefined): number | undefined {
  if (!value) return undefined
  // `Date.parse` makes a date of almost anything, of "-5" too. Dates in HTTP always end with GMT.
  const ms = value.endsWith('GMT')
    ? Date.parse(value) - Date.now()
    : /^\d+$/.test(value)
      ? +value * 1000
      : NaN
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), RETRY_AFTER_CAP_MS)
}

/** How long to wait before going to another node when this one says that it restarts. */
export function restartMs(): number {
  return jitterMs(RESTART_SPREAD_MS)
}

function jitterMs(limitMs: number): number {
  return Math.floor(Math.random() * limitMs)
}
