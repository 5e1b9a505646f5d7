const startedAt = Date.now()

/**
 * ms since this process started. A number this small is kept in place by V8, where a time since 1970 is an object of its
 * own: the logs have one for each message.
 */
export function uptimeMs(): number {
  return Date.now() - startedAt
}
