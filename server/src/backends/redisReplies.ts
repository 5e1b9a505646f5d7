/** What Redis says when it says no. */

/** Redis refuses us, and will go on doing so: passwords, users, permissions, databases. */
const REFUSAL =
  /^(WRONGPASS|NOAUTH|NOPERM|DENIED|ERR invalid password|ERR AUTH|ERR DB index|ERR invalid DB index)/

/**
 * What Redis can't do for now, or not for us. Of a command within a script, Redis 6 has the code in the middle of the text.
 * NOSCRIPT and MOVED are no trouble; CLUSTERDOWN is.
 */
const TROUBLE = /\b(MISCONF|OOM|READONLY|LOADING|MASTERDOWN|BUSY|NOREPLICAS|CLUSTERDOWN|NOAUTH|NOPERM)\b/

/** In a script, Redis 7.0 and older say it in other words than everywhere else. */
const IN_SCRIPT = /The user executing the script can't/

/** An answer of Redis, in whichever version of ioredis: not a connection that broke. */
export function isReply(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError'
}

/** A connection that is refused for good. */
export function isRefusal({ message }: Error): boolean {
  return REFUSAL.test(message)
}

/** A right that is missing. */
export function isDenied(error: unknown): boolean {
  return isReply(error) && (error.message.includes('NOPERM') || IN_SCRIPT.test(error.message))
}

/** The code of what Redis can't do for now, such as `OOM`; `null` where the reply says something else. */
export function troubleOf(error: unknown): string | null {
  if (!isReply(error)) return null
  return isDenied(error) ? 'NOPERM' : (TROUBLE.exec(error.message)?.[1] ?? null)
}
