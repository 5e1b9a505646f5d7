import type { Cluster, ClusterOptions, Redis, RedisOptions } from 'ioredis'
import type { ClusterTarget, RedisTarget } from '../options.ts'
import { isClusterTarget, isInstance, type Ioredis } from './ioredis.ts'

/** The maximum time for the reply to a command. After that the command has failed. */
const COMMAND_TIMEOUT_MS = 3000
const MAX_RETRY_MS = 2000
/** How often a client of a Cluster asks again which server owns which slots. */
const SLOTS_REFRESH_MS = 5000

/** The settings in which the connections for subscriptions and for commands differ. */
export type RoleSettings = Pick<RedisOptions, 'autoResubscribe' | 'commandTimeout' | 'enableAutoPipelining'>

export const roleSettings = {
  subscriber: { autoResubscribe: false },
  // Polls arrive in bursts. Auto-pipelining sends all commands of one event loop turn in one write.
  commands: { commandTimeout: COMMAND_TIMEOUT_MS, enableAutoPipelining: true },
} satisfies Record<string, RoleSettings>

/** Makes the ioredis client of a connection. `ioredis` is `null` if the target is an instance. */
export type ClientSource = (ioredis: Ioredis | null, role: RoleSettings) => Redis | Cluster

/** This fixes the form of the replies that we parse, whatever the application has set for its own connections. */
const replies = { replyMapping: 'legacy' as const, stringNumbers: false }

/** The settings of every connection to one server. */
export const ownSettings = {
  lazyConnect: true,
  // Commands fail immediately while Redis is unavailable. With a queue they would be answered long after the caller
  // has given up.
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  retryStrategy: (attempt: number) => Math.min(100 * attempt, MAX_RETRY_MS),
  // While Redis is loading its data, ioredis asks it once a second. This also shows that the server is alive.
  maxLoadingRetryTime: 1000,
  // Channels have no prefix, and keys have a namespace of their own.
  keyPrefix: '',
  ...replies,
} satisfies RedisOptions

/** The client of a URL or of options is a new one. An instance is duplicated. */
export function clientsOf(target: RedisTarget): ClientSource {
  return (ioredis, role) => {
    const settings = { ...ownSettings, ...role }
    if (typeof target === 'string') return new ioredis!.Redis(target, settings)
    if (isClusterTarget(target)) return clusterClient(target, ioredis)
    if (isInstance(target)) return target.duplicate({ ...sentinels(target.options), ...settings })
    return new ioredis!.Redis({ ...sentinels(target), ...target, ...settings })
  }
}

/** The client for the keys of a Cluster. */
function clusterClient(target: Cluster | ClusterTarget, ioredis: Ioredis | null): Cluster {
  const given: ClusterOptions = 'duplicate' in target ? target.options : target
  const settings = {
    lazyConnect: true,
    enableOfflineQueue: false,
    keyPrefix: '',
    // A replica may lack what a node has just written, for instance a revocation.
    scaleReads: 'master' as const,
    slotsRefreshInterval: given.slotsRefreshInterval ?? SLOTS_REFRESH_MS,
    // ioredis takes the prefix from here if the one above is empty.
    redisOptions: { ...given.redisOptions, keyPrefix: '', commandTimeout: COMMAND_TIMEOUT_MS, ...replies },
  }
  if ('duplicate' in target) return target.duplicate([], settings)
  const { cluster, ...options } = target
  return new ioredis!.Cluster([...cluster], { ...options, ...settings })
}

/**
 * Sets a timeout for sentinels, because a sentinel that does not answer would otherwise block the connection forever.
 */
function sentinels({ sentinelCommandTimeout }: RedisOptions): RedisOptions {
  return { sentinelCommandTimeout: sentinelCommandTimeout ?? COMMAND_TIMEOUT_MS }
}

/** `instanceof` is not used, because the instance may come from another copy of ioredis. */
export function isCluster(client: Redis | Cluster): client is Cluster {
  return client.isCluster
}
