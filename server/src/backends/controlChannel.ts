import { createHash } from 'node:crypto'
import { databaseOf } from './databases.ts'
import type { RedisTarget } from '../options.ts'

const DEFAULT_NAMESPACE = 'bc:'
/** The original's, for those who have changed nothing. */
const DEFAULT_CHANNEL = 'broadcaster'

/**
 * Redis knows one pub/sub for all its databases. Two applications that keep their keys apart, by database or by namespace,
 * must not hear each other's control messages either: the channel follows from both.
 */
export function controlChannelFor(namespace: string, redis: RedisTarget, pubSub: RedisTarget): string {
  const databases = [...new Set([databaseOf(redis), databaseOf(pubSub)])]
  const isAsEver = namespace === DEFAULT_NAMESPACE && databases.join() === '0'
  return isAsEver ? DEFAULT_CHANNEL : `${namespace}control:${databases.join(':')}`
}

/**
 * Nodes of versions that had one channel for all count from other beacons of the same Redis: as if it were another run of
 * it, so that a client that goes from one to the other is told of a gap, and misses nothing silently.
 */
export function runSaltOf(controlChannel: string, namespace: string): number {
  if (!controlChannel.startsWith(`${namespace}control:`)) return 0
  return 1 + (createHash('sha256').update(controlChannel).digest().readUInt16BE(0) % 1023)
}
