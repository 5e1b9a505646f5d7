import { resolveUrl } from './options.ts'
import type { Settings } from './options.ts'

/**
 * In some networks a WebSocket neither opens nor fails. There, each page would wait for the timeout before it falls back to
 * long-poll. So the pages of a tab store in `sessionStorage` that WebSockets of this URL get no answer, and when to try one
 * again.
 *
 * Storage may be missing (Node, workers), may throw on access (blocked cookies, a sandboxed frame), and may be full. In
 * these cases each page waits for the timeout itself.
 */

/** When to try a WebSocket again, as a `Date.now()` time. Undefined if WebSockets are not known to be blocked. */
export function readRetryTime(settings: Settings): number | undefined {
  return useStorage(settings, (key) => Number(sessionStorage.getItem(key)) || undefined)
}

/** @param time null when a WebSocket works. */
export function writeRetryTime(settings: Settings, time: number | null): void {
  useStorage(settings, (key) =>
    time === null ? sessionStorage.removeItem(key) : sessionStorage.setItem(key, String(time)),
  )
}

function useStorage<Result>(settings: Settings, use: (key: string) => Result): Result | undefined {
  try {
    return use(`broadcaster ${resolveUrl(settings, 'ws')}`)
  } catch {
    return undefined
  }
}
