import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { beaconTemplate } from '../control.ts'
import { runSaltOf } from '../controlChannel.ts'
import { BroadcasterError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import type { RedisTarget } from '../options.ts'
import type { Backend, BackendReceiver } from './backend.ts'
import { RedisSessions } from './redisSessions.ts'

export interface RedisBackendOptions {
  readonly redis: RedisTarget
  readonly pubSub: RedisTarget
  readonly controlChannel: string
  readonly controlNamespace: string
  readonly timeoutMs: number
  readonly logger: Logger
}

/** A command that has no answer by then has failed. */
const COMMAND_TIMEOUT_MS = 3000
/** How often the subscriber connection is asked for a sign of life through Redis itself; TCP would take minutes. */
const HEARTBEAT_MS = 1000
const HEARTBEAT_TIMEOUT_MS = 2500
const MAX_RETRY_MS = 2000

/**
 * Makes the next beacon and publishes it in one step, so that all nodes see beacons in the order of their numbers: a time in
 * ms, behind it ten bits of the identity of this run of Redis (see `position.ts`). The clock keeps numbers from going
 * back when the key is lost (a restart, a failover), `floor` when the clock does. Whoever may not ask for INFO has no run.
 */
const BEACON_SCRIPT = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local last = math.floor(tonumber(redis.call('GET', KEYS[1]) or '0') / 1024)
local ms = math.max(now, last + 1, math.floor(tonumber(ARGV[1]) / 1024) + 1)
local info = redis.pcall('INFO', 'server')
local id = type(info) == 'string' and string.match(info, 'run_id:(%x%x%x)') or '0'
local run = bit.bxor(tonumber(id, 16) % 1024, tonumber(ARGV[5]))
local number = string.format('%.0f', ms * 1024 + run)
redis.call('SET', KEYS[1], number)
redis.call('PUBLISH', ARGV[2], ARGV[3] .. number .. ARGV[4])
return number`

/** Redis refuses us, and will go on doing so: passwords, users, permissions, databases. */
const REFUSAL = /^(WRONGPASS|NOAUTH|NOPERM|ERR invalid password|ERR AUTH|ERR DB index|ERR invalid DB index)/

/** Redis through ioredis: three connections, to subscribe, to publish, and for data. */
export class RedisBackend implements Backend {
  readonly isOrdered: boolean
  readonly sessions: RedisSessions
  readonly #options: RedisBackendOptions
  readonly #subscriber: Redis | Cluster
  readonly #publisher: Redis | Cluster
  readonly #data: Redis | Cluster
  #isUp = false
  /** An outage is logged once, not at every attempt to connect. */
  #downSince: number | null = null
  #isClosed = false
  #heartbeat: NodeJS.Timeout | null = null

  constructor(options: RedisBackendOptions) {
    this.#options = options
    // Polls come in crowds: the commands of one turn go to Redis in one write.
    const commands = { commandTimeout: COMMAND_TIMEOUT_MS, enableAutoPipelining: true }
    this.#subscriber = connection(options.pubSub, { autoResubscribe: false })
    this.#publisher = connection(options.pubSub, commands)
    this.#data = options.pubSub === options.redis ? this.#publisher : connection(options.redis, commands)
    // Each node of a cluster has an order of its own.
    this.isOrdered = !this.#subscriber.isCluster
    this.sessions = new RedisSessions(this.#data, options.controlNamespace, options.timeoutMs)
  }

  get isConnected(): boolean {
    return [...this.#connections()].every(({ status }) => status === 'ready')
  }

  start(receiver: BackendReceiver): Promise<void> {
    const { logger } = this.#options
    this.#subscriber.on('message', (channel: string, body: string) => receiver.message(channel, body))
    return new Promise((resolve, reject) => {
      this.#subscriber.on('ready', () => {
        this.#isUp = true
        this.#startHeartbeat()
        if (this.#downSince !== null) {
          logger.warn({ downMs: Date.now() - this.#downSince }, 'Redis is back')
          this.#downSince = null
        }
        receiver.up()
      })
      this.#subscriber.on('close', () =>
        this.#down(receiver, new Error('The connection to Redis was closed')),
      )
      this.#subscriber.on('error', (error: Error) => {
        this.#down(receiver, error)
        if (REFUSAL.test(error.message)) {
          reject(
            new BroadcasterError('brokerRefused', `Redis refuses the connection: ${error.message}`, {
              cause: error,
            }),
          )
        }
      })
      for (const connection of new Set([this.#publisher, this.#data])) {
        // What fails on them is told to whoever asked; ioredis throws where nobody listens.
        connection.on('error', (error: Error) => logger.debug({ err: error }, 'A connection to Redis failed'))
      }
      for (const connection of this.#connections()) {
        connection.on('ready', () => {
          if (this.isConnected) resolve()
        })
        // A first attempt that fails is retried, and told by the events.
        connection.connect().catch(() => {})
      }
    })
  }

  async subscribe(channels: readonly string[]): Promise<void> {
    await this.#subscriber.subscribe(...channels)
  }

  async unsubscribe(channels: readonly string[]): Promise<void> {
    await this.#subscriber.unsubscribe(...channels)
  }

  async publish(channel: string, body: string): Promise<number> {
    try {
      return await this.#publisher.publish(channel, body)
    } catch (error) {
      throw BroadcasterError.from(error, 'brokerUnavailable')
    }
  }

  async beacon(floor: number): Promise<number> {
    const { controlNamespace, controlChannel } = this.#options
    const [before, after] = beaconTemplate
    const key = `${controlNamespace}beacon`
    const salt = runSaltOf(controlChannel, controlNamespace)
    return Number(
      await this.#publisher.eval(BEACON_SCRIPT, 1, key, floor, controlChannel, before, after, salt),
    )
  }

  async report(node: string, connections: number, ttlMs: number): Promise<void> {
    await Promise.all([
      this.#data.set(this.#nodeKey(node), connections, 'PX', ttlMs),
      this.#data.sadd(this.#nodesKey, node),
    ])
  }

  async connections(node: string): Promise<number> {
    const others = (await this.#data.smembers(this.#nodesKey)).filter((other) => other !== node)
    const counts = await Promise.all(others.map((other) => this.#data.get(this.#nodeKey(other))))
    const gone = others.filter((_, i) => counts[i] === null)
    if (gone.length > 0) await this.#data.srem(this.#nodesKey, ...gone)
    return counts.reduce((sum, count) => sum + Number(count ?? 0), 0)
  }

  async leave(node: string): Promise<void> {
    await Promise.all([this.#data.del(this.#nodeKey(node)), this.#data.srem(this.#nodesKey, node)])
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#stopHeartbeat()
    for (const connection of this.#connections()) connection.disconnect()
  }

  #connections(): Set<Redis | Cluster> {
    return new Set([this.#subscriber, this.#publisher, this.#data])
  }

  #down(receiver: BackendReceiver, error: Error): void {
    if (this.#isClosed) return
    if (this.#downSince === null) {
      this.#downSince = Date.now()
      this.#options.logger.error({ err: error }, 'Redis is away; trying again')
    }
    if (!this.#isUp) return
    this.#isUp = false
    this.#stopHeartbeat()
    receiver.down(error)
  }

  #startHeartbeat(): void {
    this.#stopHeartbeat()
    let askedAt: number | null = null
    this.#heartbeat = setInterval(() => {
      if (askedAt !== null) {
        if (Date.now() - askedAt < HEARTBEAT_TIMEOUT_MS) return
        this.#options.logger.warn({}, 'The connection to Redis is dead; making a new one')
        this.#stopHeartbeat()
        this.#reconnect()
        return
      }
      askedAt = Date.now()
      this.#subscriber.ping().then(
        () => (askedAt = null),
        // The connection was closed, which its own event tells.
        () => {},
      )
    }, HEARTBEAT_MS)
    this.#heartbeat.unref()
  }

  #stopHeartbeat(): void {
    if (this.#heartbeat !== null) clearInterval(this.#heartbeat)
    this.#heartbeat = null
  }

  #reconnect(): void {
    // `end` of a dead connection is never answered: the socket itself has to go.
    if (this.#subscriber instanceof Cluster || this.#subscriber.isCluster) this.#subscriber.disconnect(true)
    else (this.#subscriber as Redis).stream.destroy()
  }

  #nodeKey(node: string): string {
    return `${this.#options.controlNamespace}connections:${node}`
  }

  get #nodesKey(): string {
    return `${this.#options.controlNamespace}nodes`
  }
}

function connection(
  target: RedisTarget,
  own: Pick<RedisOptions, 'autoResubscribe' | 'commandTimeout' | 'enableAutoPipelining'>,
): Redis | Cluster {
  const settings = {
    lazyConnect: true,
    // Whoever asks while Redis is away is told at once, instead of being answered long after he has gone.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (attempt: number) => Math.min(100 * attempt, MAX_RETRY_MS),
    // Channels are plain names, and keys have a namespace of their own.
    keyPrefix: '',
    // Replies in the shape that we read, whatever the application likes for its own.
    replyMapping: 'legacy' as const,
    stringNumbers: false,
    ...own,
  }
  if (typeof target === 'string') return new Redis(target, settings)
  if (isInstance(target)) {
    if (isCluster(target))
      return target.duplicate([], { lazyConnect: true, enableOfflineQueue: false, keyPrefix: '' })
    return target.duplicate(settings)
  }
  return new Redis({ ...target, ...settings })
}

function isInstance(target: RedisOptions | Redis | Cluster): target is Redis | Cluster {
  return 'duplicate' in target && typeof target.duplicate === 'function'
}

/** Not `instanceof`: the instance may come from another copy of ioredis. */
function isCluster(target: Redis | Cluster): target is Cluster {
  return target.isCluster
}
