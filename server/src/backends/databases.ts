import { Redis } from 'ioredis'
import type { RedisTarget } from '../options.ts'

/** The number of the database that a target's keys are in. */
export function databaseOf(target: RedisTarget): number {
  if (typeof target === 'string') return numberOf(new Redis(target, { lazyConnect: true }).options.db)
  if (!('duplicate' in target)) return numberOf(target.db)
  // A cluster has but one.
  return 'db' in target.options ? numberOf(target.options.db) : 0
}

/** From a URL it comes as text. */
function numberOf(db: unknown): number {
  return Number(db ?? 0)
}
