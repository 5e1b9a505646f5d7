import { BroadcasterError } from '../errors.ts'

/** Classifies the error replies of Redis. */

/** Permanent refusals: passwords, users, permissions, databases. */
const REFUSAL =
  /^(WRONGPASS|NOAUTH|NOPERM|DENIED|ERR invalid password|ERR AUTH|ERR DB index|ERR invalid DB index)/

/**
 * Codes for a state in which Redis cannot serve commands now, or not for this user. If a command fails inside a script,
 * Redis 6 puts the code in the middle of the text. NOSCRIPT and MOVED are not included, because they are part of normal
 * operation; CLUSTERDOWN is included.
 */
const TROUBLE = /\b(MISCONF|OOM|READONLY|LOADING|MASTERDOWN|BUSY|NOREPLICAS|CLUSTERDOWN|NOAUTH|NOPERM)\b/

/** Inside a script, Redis up to 7.0 reports a missing permission with this text instead of NOPERM. */
const IN_SCRIPT = /The user executing the script can't/

/**
 * Whether the error is a reply of Redis, in any version of ioredis, or was made from one by {@link failure}. A broken
 * connection is not a reply.
 */
export function isReply(error: unknown): error is Error {
  const cause = error instanceof BroadcasterError ? error.cause : error
  return cause instanceof Error && cause.name === 'ReplyError'
}

/** Whether Redis refuses the connection permanently. */
export function isRefusal({ message }: Error): boolean {
  return REFUSAL.test(message)
}

/** Whether a permission is missing. */
export function isDenied(error: unknown): boolean {
  return isReply(error) && (error.message.includes('NOPERM') || IN_SCRIPT.test(error.message))
}

/**
 * Whether a server of a Cluster refuses the command because it does not serve its slot: `moved` for good, or `temporary`
 * while the slot is on its way to another server. `null` for any other error. The command was not executed.
 */
export function redirectionOf({ message }: Error): 'moved' | 'temporary' | null {
  if (message.startsWith('MOVED ')) return 'moved'
  return /^(ASK|TRYAGAIN) /.test(message) ? 'temporary' : null
}

/** Whether a server of a Cluster refuses the command because another server owns the slot. */
export function isMoved(error: unknown): boolean {
  const cause = error instanceof BroadcasterError ? error.cause : error
  return isReply(cause) && redirectionOf(cause) === 'moved'
}

/** Whether a script was not executed because its keys are in different slots of a Cluster. */
export function isCrossSlot(error: unknown): boolean {
  const cause = error instanceof BroadcasterError ? error.cause : error
  return isReply(cause) && cause.message.startsWith('CROSSSLOT')
}

/**
 * Whether Redis cannot do what the command asks, for a reason without a code of its own: an unknown command, the quota of a
 * hosted service.
 */
export function isRefusedOtherwise(error: unknown): error is Error {
  return isReply(error) && error.message.startsWith('ERR ')
}

/** The code of the current trouble of Redis, such as `OOM`; `null` for any other error. */
export function troubleOf(error: unknown): string | null {
  if (!isReply(error)) return null
  return isDenied(error) ? 'NOPERM' : (TROUBLE.exec(error.message)?.[1] ?? null)
}

/**
 * Converts the error of a command to the two codes that callers distinguish: Redis refused the command, or Redis is
 * unavailable. Wrap only calls of ioredis, so that a bug of our own code is not taken for a failure of Redis. ioredis
 * throws a TypeError for wrong arguments, which is a bug, too.
 */
export function failure(error: unknown): Error {
  if (error instanceof TypeError) return error
  return BroadcasterError.from(error, troubleOf(error) === null ? 'brokerUnavailable' : 'brokerRefused')
}
