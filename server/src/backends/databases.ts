import type { RedisTarget } from '../options.ts'
import { isInstance } from './ioredis.ts'

/** The number of the database that a target's keys are in. */
export function databaseOf(target: RedisTarget): number {
  if (typeof target === 'string') return databaseOfUrl(target)
  if (!isInstance(target)) return numberOf(target.db)
  // A cluster has only one.
  return 'db' in target.options ? numberOf(target.options.db) : 0
}

/** As ioredis reads a URL, which may not be installed: the path of `redis://` before `?db=`, and only `?db=` of a Unix socket. */
function databaseOfUrl(target: string): number {
  const query = target.includes('?') ? target.slice(target.indexOf('?')) : ''
  const inQuery = new URLSearchParams(query).getAll('db').at(-1)
  if (!/^rediss?:/i.test(target)) return numberOf(inQuery)
  return numberOf(new URL(target).pathname.slice(1) || inQuery)
}

/** From a URL it comes as text. */
function numberOf(db: unknown): number {
  return Number.parseInt(String(db ?? 0), 10)
}
