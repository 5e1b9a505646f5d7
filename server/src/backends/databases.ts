import type { RedisTarget } from '../options.ts'
import { isClusterTarget, isInstance } from './ioredis.ts'

/** The number of the database in which a target's keys are. */
export function databaseOf(target: RedisTarget): number {
  if (typeof target === 'string') return databaseOfUrl(target)
  // A Redis Cluster has only database 0.
  if (isClusterTarget(target)) return 0
  return numberOf(isInstance(target) ? target.options.db : target.db)
}

/**
 * Reads the database from a URL by the rules of ioredis, without ioredis, which may not be installed. For `redis://`
 * the path has precedence over `?db=`. For a Unix socket only `?db=` counts.
 */
function databaseOfUrl(target: string): number {
  const query = target.includes('?') ? target.slice(target.indexOf('?')) : ''
  const inQuery = new URLSearchParams(query).getAll('db').at(-1)
  if (!/^rediss?:/i.test(target)) return numberOf(inQuery)
  return numberOf(new URL(target).pathname.slice(1) || inQuery)
}

/** Converts the database to a number. A URL contains it as text. */
function numberOf(db: unknown): number {
  return Number.parseInt(String(db ?? 0), 10)
}
