import type { Cluster, Redis } from 'ioredis'
import { randomUUID } from 'node:crypto'
import { isDenied, isReply, troubleOf } from './redisReplies.ts'

/** Where our keys and channels are. */
export interface Names {
  readonly namespace: string
  readonly controlChannel: string
}

type Step = readonly [command: string, ...args: (string | number)[]]

/** What a right would be granted with: `+eval`, `~bc:*`, `&bc:*`. */
export type Right = string

/** Tried in its order, on channels of ours: to subscribe. */
export const subscriberSteps = ({ namespace, controlChannel }: Names): Step[] => {
  const own = `${namespace}node:${randomUUID()}`
  return [
    ['subscribe', controlChannel],
    ['subscribe', own],
    ['unsubscribe', own],
  ]
}

/** To make beacons and to tell other nodes something. What nobody can read is ignored by all of them. */
export const publisherSteps = ({ namespace, controlChannel }: Names): Step[] => {
  const key = `${namespace}probe:${randomUUID()}`
  return [
    ['eval', 'return 1', 1, key],
    ['time'],
    ['get', key],
    ['set', key, '', 'PX', 1],
    ['publish', controlChannel, ''],
    ['publish', `${namespace}node:${randomUUID()}`, ''],
  ]
}

/** To keep sessions, and to count connections: everything that `redisSessions.ts` and `redis.ts` use, on keys that nobody has. */
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
 * Does every step, and returns the rights that were missing. Rights are asked by doing, since asking what one may is
 * itself a right that nobody has.
 *
 * @throws what else goes wrong: then nobody can say.
 */
export async function missingRights(
  redis: Redis | Cluster,
  steps: readonly Step[],
  { namespace }: Names,
): Promise<Right[]> {
  const missing = new Set<Right>()
  let failure: unknown = null
  await Promise.all(
    steps.map(async ([command, ...args]) => {
      try {
        // With the command as a method, so that subscribing is seen for what it is.
        await (redis as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>)[command]!(
          ...args,
        )
      } catch (error) {
        if (isDenied(error)) missing.add(rightFor(error as Error, command, String(args[0]), namespace))
        else if (isUnknown(error)) missing.add(`+${command}`)
        // Another answer says that it may.
        else if (!isReply(error) || troubleOf(error) !== null) failure ??= error
      }
    }),
  )
  // A right that is missing is one, whatever else is wrong.
  if (missing.size === 0 && failure !== null) throw failure
  return [...missing].sort()
}

/** For the person who has to fix it. */
export function explainMissing(user: string, missing: readonly Right[]): string {
  const line = `ACL SETUSER ${user} ${missing.join(' ')}`
  return `Redis refuses what is needed: ${line} (or the command is disabled by rename-command, or by a proxy)`
}

/** For a channel of the application's. */
export function explainChannel(user: string, channel: string): string {
  return `Redis refuses the channel: ACL SETUSER ${user} ${quoted(`&${channel}`)}`
}

function rightFor({ message }: Error, command: string, name: string, namespace: string): Right {
  if (/\bchannels?\b/.test(message)) return quoted(`&${name.startsWith(namespace) ? `${namespace}*` : name}`)
  return /\bkeys?\b/.test(message) ? quoted(`~${namespace}*`) : `+${command}`
}

/** Renamed away, or not known to a proxy. */
function isUnknown(error: unknown): boolean {
  return isReply(error) && /^ERR unknown command/i.test(error.message)
}

/** As `redis-cli` and `users.acl` want it. */
function quoted(rule: string): string {
  return /^[\w+~&:*.{}-]+$/.test(rule) ? rule : JSON.stringify(rule)
}
