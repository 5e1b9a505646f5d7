import { createHash } from 'node:crypto'
import { databaseOf } from './databases.ts'
import { RUNS } from '../channels/position.ts'
import type { RedisTarget } from '../options.ts'

const DEFAULT_NAMESPACE = 'bc:'
/** The channel of the original. It is used with default options. */
const DEFAULT_CHANNEL = 'broadcaster'

/**
 * The control channel of an application. Pub/sub in Redis is global for all databases. Two applications with separate
 * keys (by database or by namespace) must not receive each other's control messages, so the name contains both the
 * namespace and the databases.
 */
export function controlChannelFor(namespace: string, redis: RedisTarget, pubSub: RedisTarget): string {
  const databases = [...new Set([databaseOf(redis), databaseOf(pubSub)])]
  const isAsEver = namespace === DEFAULT_NAMESPACE && databases.join() === '0'
  return isAsEver ? DEFAULT_CHANNEL : `${namespace}control:${databases.join(':')}`
}

/**
 * A number that is added to the run of the broker in beacons. In older versions, all nodes used one control channel,
 * and therefore count from other beacons of the same Redis. The salt makes the beacons of this version look like
 * another run. A client that moves between nodes of both versions then receives a gap, instead of missing messages
 * silently.
 */
export function runSaltOf(controlChannel: string, namespace: string): number {
  if (!controlChannel.startsWith(`${namespace}control:`)) return 0
  return 1 + (createHash('sha256').update(controlChannel).digest().readUInt16BE(0) % (RUNS - 1))
}
