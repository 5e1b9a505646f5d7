/**
 * Whole milliseconds since this process started. The clock is monotonic: it does not change when the system time is
 * set. V8 stores a number this small inline, but allocates a heap object for a time since 1970. Each log entry has such
 * a time.
 */
export function uptimeMs(): number {
  return Math.floor(performance.now())
}
