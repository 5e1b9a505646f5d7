import type { Cluster, Redis } from 'ioredis'
import { randomUUID } from 'node:crypto'
import type { OrderNames } from './orderNames.ts'
import { isDenied, isMoved, isRefusedOtherwise, isReply, troubleOf } from './redisReplies.ts'

/** The names of our keys and channels. */
export interface Names {
  readonly namespace: string
  readonly controlChannel: string
}

/** A command with its arguments. */
export type Step = readonly [command: string, ...args: (string | number)[]]

/** The ACL rule that grants a right: `+eval`, `~bc:*`, `&bc:*`. */
export type Right = string

/** The steps that test subscriptions, in this order, on channels of our own. */
export const subscriberSteps = ({ namespace, controlChannel }: Names): readonly Step[] => {
  const own = `${namespace}node:${randomUUID()}`
  return [
    ['subscribe', controlChannel],
    ['subscribe', own],
    ['unsubscribe', own],
  ]
}

/**
 * The steps that test beacons and messages to other nodes. The messages are empty, and all nodes ignore a message that
 * they cannot parse.
 */
export const publisherSteps = ({ namespace, controlChannel }: Names): Step[] => {
  const key = `${namespace}probe:${randomUUID()}`
  return [
    ['eval', 'return 1', 1, key],
    ['evalsha', '0'.repeat(40), 1, key],
    ['time'],
    ['get', key],
    ['set', key, '', 'PX', 1],
    ['pubsub', 'NUMSUB', controlChannel],
    ['publish', controlChannel, ''],
    ['publish', `${namespace}node:${randomUUID()}`, ''],
  ]
}

/** The step that tests whether a node can find out which server of a Cluster owns a slot. */
export const clusterSteps: readonly Step[] = [['cluster', 'NODES']]

/** The further steps of a server of a Cluster with sharded pub/sub. The names are in a slot of this server. */
export const shardSteps = ({
  namespace,
  controlChannel,
  tag,
}: OrderNames): Record<'subscriber' | 'publisher', readonly Step[]> => {
  const own = `${namespace}${tag}node:${randomUUID()}`
  return {
    subscriber: [
      ['ssubscribe', controlChannel],
      ['ssubscribe', own],
      ['sunsubscribe', own],
    ],
    publisher: [
      ['spublish', controlChannel, ''],
      ['spublish', own, ''],
    ],
  }
}

/** The step that tests whether a node can find out to which server of a Cluster a connection leads. */
export const serverSteps: readonly Step[] = [['info', 'server']]

/**
 * The steps that test sessions and the count of connections. They use every command of `redisSessions.ts` and
 * `redis.ts`, on keys with random names that do not exist.
 */
export const dataSteps = ({ namespace }: Names): Step[] => {
  const [hash, sorted, set, text] = ['h', 'z', 's', 't'].map(
    (type) => `${namespace}probe:${randomUUID()}${type}`,
  )
  return [
    ['eval', 'return 1', 1, hash!],
    ['evalsha', '0'.repeat(40), 1, hash!],
    ['time'],
    ['hset', hash!, 'field', ''],
    ['pexpire', hash!, 1000],
    ['pttl', hash!],
    ['hget', hash!, 'field'],
    ['hmget', hash!, 'field'],
    ['hgetall', hash!],
    ['hexists', hash!, 'field'],
    ['hlen', hash!],
    ['hdel', hash!, 'field'],
    ['zadd', sorted!, 0, 'member'],
    ['zcount', sorted!, 0, 1],
    ['zrangebyscore', sorted!, 0, 1],
    ['zrem', sorted!, 'member'],
    ['sadd', set!, 'member'],
    ['smembers', set!],
    ['srem', set!, 'member'],
    ['set', text!, '', 'PX', 1],
    ['get', text!],
    ['del', hash!],
  ]
}

/**
 * Executes every step, and returns the rights that are missing. Each right is tested by use, because the command that
 * lists a user's rights usually requires a right that the user does not have.
 *
 * @param mayRedirect whether a server of a Cluster may refer to another one
 * @throws any other error: the rights are unknown then
 */
export async function missingRights(
  redis: Redis | Cluster,
  steps: readonly Step[],
  { namespace }: Names,
  mayRedirect: boolean,
): Promise<Right[]> {
  const missing = new Set<Right>()
  let failure: unknown = null
  await Promise.all(
    steps.map(async ([command, ...args]) => {
      try {
        // The command is called as a method, so that ioredis tracks subscriptions.
        await (redis as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>)[command]!(
          ...args,
        )
      } catch (error) {
        if (isDenied(error)) missing.add(rightFor(error as Error, command, String(args[0]), namespace))
        else if (isUnknown(error, command)) missing.add(`+${command}`)
        else if (isFailure(error, mayRedirect)) failure ??= error
        // Any other reply of Redis shows that the user may execute the command.
      }
    }),
  )
  // Missing rights are reported even if other steps failed for another reason.
  if (missing.size === 0 && failure !== null) throw failure
  return [...missing].sort()
}

/** Whether the server does not have the command: it was renamed, or a hosted service refuses it with a text of its own. */
function isUnknown(error: unknown, command: string): boolean {
  return isRefusedOtherwise(error) && error.message.toLowerCase().includes(command)
}

/** Whether Redis has not executed the command, for a reason that is not about the user's rights. */
function isFailure(error: unknown, mayRedirect: boolean): boolean {
  if (!isReply(error) || troubleOf(error) !== null || isRefusedOtherwise(error)) return true
  return isMoved(error) && !mayRedirect
}

/** The error message about missing rights, with the command that grants them. */
export function explainMissing(user: string, missing: readonly Right[]): string {
  const line = `ACL SETUSER ${user} ${missing.join(' ')}`
  return `Redis refuses what is needed: ${line} (or the command is disabled by rename-command, or by a proxy)`
}

/** The error message about a refused channel of the application. */
export function explainChannel(user: string, channel: string): string {
  return `Redis refuses the channel: ACL SETUSER ${user} ${quoted(`&${channel}`)}`
}

function rightFor({ message }: Error, command: string, name: string, namespace: string): Right {
  if (/\bchannels?\b/.test(message)) return quoted(`&${name.startsWith(namespace) ? `${namespace}*` : name}`)
  if (/\bkeys?\b/.test(message)) return quoted(`~${namespace}*`)
  return command === 'cluster' ? `+cluster|${name.toLowerCase()}` : `+${command}`
}

/** Quotes a rule in the syntax of `redis-cli` and `users.acl`. */
function quoted(rule: string): string {
  return /^[\w+~&:*.{}-]+$/.test(rule) ? rule : JSON.stringify(rule)
}
