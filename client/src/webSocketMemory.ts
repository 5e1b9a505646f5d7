import { resolveUrl } from './options.ts'
import type { Settings } from './options.ts'

/**
 * Where a network lets WebSockets neither open nor fail, each page would wait for one before it takes long-poll. So the
 * pages of a tab tell each other, by `sessionStorage`, that WebSockets of this URL get no answer, and when to try one again.
 *
 * Storage may be missing (Node, workers), may throw when it is touched (cookies are blocked, a sandboxed frame), and may be
 * full. Then each page finds out by itself.
 */

/** When to try a WebSocket again, as `Date.now()` counts; undefined when nothing is known against it. */
export function readRetryTime(settings: Settings): number | undefined {
  try {
    return Number(sessionStorage.getItem(keyOf(settings))) || undefined
  } catch {
    return undefined
  }
}

/** @param time null when a WebSocket works. */
export function writeRetryTime(settings: Settings, time: number | null): void {
  try {
    if (time === null) sessionStorage.removeItem(keyOf(settings))
    else sessionStorage.setItem(keyOf(settings), String(time))
  } catch {
    // See above.
  }
}

function keyOf(settings: Settings): string {
  return `broadcaster ${resolveUrl(settings, 'ws')}`
}
