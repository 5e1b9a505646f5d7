import { isDeepStrictEqual } from 'node:util'
import { Redis } from 'ioredis'
import type { RedisServer } from './redisServer.ts'

/** The maximum number of servers that wait for the next test. */
const MOST_IDLE = 4
const PATIENCE_MS = 30_000

const idle: RedisServer[] = []
/** The settings of a server that has just started. */
let settings: Settings | undefined

interface Settings {
  readonly config: ReadonlyMap<string, string>
  /** The lines of ACL LIST. */
  readonly users: readonly string[]
  readonly role: string
}

/** A running server that is as it was at its start, if there is one. To start one takes longer than most tests. */
export function takeServer(): RedisServer | undefined {
  const server = idle.pop()
  if (server?.isRunning === false) return takeServer()
  server?.keepAlive(true)
  return server
}

/** Has to be called with a server that has just started, before it is used. On a slow machine it may get no answer in time. */
export async function rememberSettings(server: RedisServer): Promise<void> {
  settings ??= await withConnection(server, settingsOf).catch(() => undefined)
}

/** Keeps the server for the next test. Returns false if a test has changed what cannot be restored. */
export async function reuse(server: RedisServer): Promise<boolean> {
  if (idle.length >= MOST_IDLE || !server.isRunning) return false
  const isClean = await withConnection(server, clean).catch(() => false)
  if (!isClean) return false
  await server.deleteFiles()
  server.keepAlive(false)
  idle.push(server)
  return true
}

async function clean(redis: Redis): Promise<boolean> {
  for (const type of ['normal', 'pubsub', 'replica']) await redis.call('CLIENT', 'KILL', 'TYPE', type)
  await redis.flushall()
  await redis.script('FLUSH')
  await redis.function('FLUSH')
  await redis.call('ACL', 'LOG', 'RESET')
  await redis.config('RESETSTAT')
  return restore(redis, settings!)
}

async function restore(redis: Redis, settings: Settings): Promise<boolean> {
  const changed = await settingsOf(redis)
  for (const [name, value] of settings.config)
    if (changed.config.get(name) !== value) await redis.config('SET', name, value)
  for (const line of changed.users) {
    if (settings.users.includes(line)) continue
    const [, user] = line.split(' ')
    if (user !== 'default') await redis.call('ACL', 'DELUSER', user!)
  }
  for (const line of settings.users) {
    const [, user, ...rules] = line.split(' ')
    if (!changed.users.includes(line)) await redis.call('ACL', 'SETUSER', user!, ...rules)
  }
  return isDeepStrictEqual(await settingsOf(redis), settings)
}

async function settingsOf(redis: Redis): Promise<Settings> {
  const pairs = (await redis.config('GET', '*')) as string[]
  const config = new Map<string, string>()
  for (let i = 0; i < pairs.length; i += 2) config.set(pairs[i]!, pairs[i + 1]!)
  for (const name of ['port', 'dir']) config.delete(name)
  const [role] = (await redis.call('ROLE')) as [string]
  return { config, users: (await redis.call('ACL', 'LIST')) as string[], role }
}

async function withConnection<T>(server: RedisServer, use: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis({
    port: server.port,
    commandTimeout: PATIENCE_MS,
    connectTimeout: PATIENCE_MS,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    disableClientInfo: true,
  })
  redis.on('error', () => {})
  try {
    return await use(redis)
  } finally {
    redis.disconnect()
  }
}
