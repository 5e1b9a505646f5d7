/**
 * ms since this process started, whole ones. The clock is monotonic: it does not follow a change of the system's time. A
 * number this small is kept in place by V8, where a time since 1970 is an object of its own: the logs have one for each
 * message.
 */
export function uptimeMs(): number {
  return Math.floor(performance.now())
}
