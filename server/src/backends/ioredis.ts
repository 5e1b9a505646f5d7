import type { Cluster, Redis } from 'ioredis'
import { BroadcasterError } from '../errors.ts'
import type { ClusterTarget, RedisTarget } from '../options.ts'

/** The classes that create a connection from a URL or from options. */
export interface Ioredis {
  readonly Redis: typeof Redis
  readonly Cluster: typeof Cluster
}

/**
 * Loads ioredis, an optional peer dependency: an application with `redis: false` does not install it, and an ioredis
 * instance comes with its own copy. The import is dynamic, and its name is a literal, so that bundlers include it and
 * Jest can mock it.
 *
 * @throws {BroadcasterError} `invalidOption`, if ioredis is not installed or too old
 */
export async function loadIoredis(): Promise<Ioredis> {
  let loaded: { readonly Redis?: unknown }
  try {
    loaded = await import('ioredis')
  } catch (error) {
    // The error of `require()` has further lines with the modules that required it.
    const [reason] = (error as Error).message.split('\n')
    throw unusable(`it could not be loaded (${reason})`, error)
  }
  // Versions before 5 do not export a class with this name.
  if (typeof loaded.Redis !== 'function') throw unusable('the installed version is too old')
  return loaded as Ioredis
}

/**
 * Whether the target is an ioredis instance. `instanceof` is not used, because the instance may come from another copy
 * of ioredis.
 */
export function isInstance(target: RedisTarget): target is Extract<RedisTarget, { duplicate: unknown }> {
  return typeof target === 'object' && 'duplicate' in target && typeof target.duplicate === 'function'
}

/** Whether the target is a Redis Cluster: an instance, or `{ cluster: [...] }`. */
export function isClusterTarget(target: RedisTarget): target is Cluster | ClusterTarget {
  if (isInstance(target)) return target.isCluster
  return typeof target === 'object' && 'cluster' in target
}

function unusable(why: string, cause?: unknown): BroadcasterError {
  const text = `Option redis: the package ioredis is needed, but ${why}: npm install ioredis@6 (or 5.9 and newer), or set redis: false for one process without Redis`
  return new BroadcasterError('invalidOption', text, { cause })
}
