/** The number of timers, one after the other, that make up one timeout. */
const SLICES = 4

/**
 * Calls `expired` after about `ms` in which this process was running. If the process is blocked or suspended, all its
 * timers end before it reads what has arrived meanwhile. So one timer would report that nobody has answered. Here a
 * blocked process loses at most a quarter of the time, and it reads what has arrived before the next quarter.
 *
 * Returns a function that cancels the timeout.
 */
export function runningTimeout(ms: number, expired: () => void): () => void {
  let left = SLICES
  let timer: NodeJS.Timeout
  const next = (): void => {
    if (left === 0) return expired()
    left -= 1
    timer = setTimeout(next, ms / SLICES)
  }
  next()
  return () => clearTimeout(timer)
}
