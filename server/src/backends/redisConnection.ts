import { deferred } from '@broadcaster/protocol'
import type { Cluster, Redis } from 'ioredis'
import type { Socket } from 'node:net'
import { Deadline } from '../time/deadline.ts'
import { BroadcasterError, closed } from '../errors.ts'
import type { Ioredis } from './ioredis.ts'
import { isCluster, roleSettings, type ClientSource } from './redisClients.ts'
import { failure, isRefusedOtherwise, isReply, redirectionOf } from './redisReplies.ts'
import { pause } from '../time/pause.ts'
import { uptimeMs } from '../time/uptime.ts'

/**
 * The interval of the health check, which sends PING on every connection. TCP alone would need minutes to detect a dead
 * connection. The PING also keeps a Redis with the setting `timeout` (at least 1 s) from closing idle connections.
 */
const HEALTH_CHECK_INTERVAL_MS = 500
/** The number of checks without a received byte after which a connection is unhealthy, and after which it is dead. */
const SILENT_CHECKS_UNTIL_UNHEALTHY = 4
const SILENT_CHECKS_UNTIL_DEAD = 5
/** How long a command waits for a new connection after the old one was lost. */
const RECONNECT_WAIT_MS = 1000
/** The maximum number of attempts of a command whose connection breaks again and again. */
const MAX_TRIES = 3
/** How long a command waits before it is sent again while its slot of a Cluster is on its way to another server. */
const SLOT_RETRY_MS = 100

/** Every command that this kit sends. `redisRights.ts` checks the permission for each. */
const COMMANDS = [
  'eval',
  'evalsha',
  'publish',
  'spublish',
  'pubsub',
  'get',
  'set',
  'del',
  'hget',
  'sadd',
  'srem',
  'smembers',
  'zrem',
  'zrangebyscore',
] as const

const NOT_CONNECTED = 'There is no connection to Redis: nothing was sent'

/** The error that Redis sends when it refuses a new connection. */
const CONNECTION_REFUSAL = /^-((?:ERR max number of clients|DENIED)[^\r]*)/

/**
 * Commands that are not repeated when the connection breaks. Redis may have executed them already, and a second
 * execution has another effect.
 */
const NOT_REPEATABLE: ReadonlySet<string> = new Set(['eval', 'evalsha', 'publish', 'spublish'])

/** The commands of a connection. They wait while it is being replaced. They reject with a {@link failure}. */
export type Commands = Pick<Redis, (typeof COMMANDS)[number]>

export interface ConnectionEvents {
  ready(): void
  /** The established connection was lost. */
  lost(error: Error): void
  /**
   * An error on the connection, or during an attempt to connect. `lost` is also called if the connection was
   * established.
   */
  failed(error: Error): void
  /** Redis replied to a command with an error. */
  refused(error: Error): void
  /**
   * Whether the connection has to lead to another server after this error MOVED. Otherwise the command alone concerns
   * another server.
   */
  isMoved(error: Error): boolean
}

/**
 * One connection to Redis, or the connections for commands to all nodes of a Cluster. It checks its health, reconnects
 * when it is dead, and lets commands wait for the new connection.
 */
export class RedisConnection {
  readonly commands: Commands
  readonly #source: ClientSource
  readonly #isSubscriber: boolean
  readonly #events: ConnectionEvents
  readonly #health = new WeakMap<Socket, { bytes: number; silentChecks: number }>()
  readonly #counted = new WeakMap<Socket, number>()
  /** When the connection was lost; `null` while it is established. */
  #lostAt: number | null = uptimeMs()
  #nextReady = deferred()
  #isUnhealthy = false
  /** ioredis is about to close the connection, and the next attempt to connect will succeed. */
  #isExpectingClose = false
  #healthTimer: NodeJS.Timeout | null = null
  #isClosed = false
  /** `null` until ioredis is loaded. */
  #client: Redis | Cluster | null = null

  constructor(source: ClientSource, role: 'subscriber' | 'commands', events: ConnectionEvents) {
    this.#source = source
    this.#isSubscriber = role === 'subscriber'
    this.#events = events
    this.commands = this.#makeCommands()
  }

  /**
   * The ioredis client.
   *
   * @throws {BroadcasterError} `brokerUnavailable`, before {@link connect} has made it
   */
  get client(): Redis | Cluster {
    if (this.#client === null) throw new BroadcasterError('brokerUnavailable', NOT_CONNECTED)
    return this.#client
  }

  /** Whether a command would be sent immediately. */
  get isReady(): boolean {
    return this.#client?.status === 'ready'
  }

  /** Whether commands work, possibly after a short delay: while the connection is being replaced, commands wait. */
  get isUsable(): boolean {
    // A node of a Cluster that does not respond concerns only the keys that it has.
    if (this.isReady) return !this.#isUnhealthy || isCluster(this.client)
    return !this.#isSubscriber && this.canWait
  }

  /**
   * Whether ioredis has given up. Only the application can cause this: with a `clusterRetryStrategy` or
   * `sentinelRetryStrategy` that returns no number, or with a `Connector` that fails.
   */
  get hasEnded(): boolean {
    return this.#client?.status === 'end' && !this.#isClosed
  }

  /** Whether the connection was lost only a moment ago, so that commands still wait for the next one. */
  get canWait(): boolean {
    return this.#reconnectWaitMs > 0
  }

  /** Connects, and retries without end. `ioredis` is `null` if the target is an instance. */
  connect(ioredis: Ioredis | null): void {
    const client = this.#source(ioredis, roleSettings[this.#isSubscriber ? 'subscriber' : 'commands'])
    this.#client = client
    this.#lostAt = uptimeMs()
    client.on('ready', () => {
      this.#lostAt = null
      this.#isUnhealthy = false
      this.#nextReady.resolve()
      this.#nextReady = deferred()
      this.#events.ready()
    })
    client.on('close', () => this.#lost(new Error('The connection to Redis was closed')))
    client.on('error', (error: Error) => {
      if (isAboutInfo(error)) {
        // The server does not know INFO, which ioredis uses for its ready check. The next attempt goes without it.
        client.options.enableReadyCheck = false
        this.#isExpectingClose = true
        return
      }
      this.#events.failed(error)
      // If Redis refuses the selected database, ioredis continues with database 0, which may belong to another
      // application. So the connection is replaced.
      if (isReply(error)) this.renew()
    })
    if (isCluster(client)) client.on('node error', (error: Error) => this.#events.failed(error))
    else client.on('connect', () => this.#watchForRefusal(client.stream as Socket))
    this.#healthTimer = setInterval(() => this.#checkHealth(), HEALTH_CHECK_INTERVAL_MS)
    this.#healthTimer.unref()
    // A failed first attempt is retried, and is reported by the events.
    client.connect().catch(() => {})
  }

  /**
   * Closes the current connection and connects again. If the address is a host name, this may lead to another server.
   */
  renew(): void {
    const sockets = socketsOf(this.client)
    if (isCluster(this.client)) this.client.disconnect(true)
    // A graceful `end` never completes on a dead connection, so the socket is destroyed.
    for (const { stream } of sockets) stream.destroy()
  }

  /** The run id of the server that it is connected to; `null` if it is not available. */
  async runId(): Promise<string | null> {
    // With ioredis 5, INFO fails on a connection that has subscriptions.
    const info = await this.client.info('server').catch(() => '')
    return /run_id:(\w+)/.exec(info)?.[1] ?? null
  }

  close(): void {
    this.#isClosed = true
    if (this.#healthTimer !== null) clearInterval(this.#healthTimer)
    this.#client?.disconnect()
    this.#nextReady.resolve()
  }

  #makeCommands(): Commands {
    type Methods = Record<string, (...args: unknown[]) => Promise<unknown>>
    const methods = () => this.client as unknown as Methods
    const wrap = (name: string) => [
      name,
      (...args: unknown[]) => this.#run(() => methods()[name]!(...args), !NOT_REPEATABLE.has(name)),
    ]
    return Object.fromEntries(COMMANDS.map(wrap)) as Commands
  }

  async #run(command: () => Promise<unknown>, mayRepeat: boolean): Promise<unknown> {
    for (let tries = 1; ; tries++) {
      if (!this.isReady) await this.#waitForNext()
      if (this.#isClosed) throw closed()
      try {
        return await command()
      } catch (error) {
        if (isReply(error)) this.#events.refused(error)
        if (tries === MAX_TRIES) throw explained(error)
        const redirection = isReply(error) ? redirectionOf(error) : null
        // The command was not executed.
        if (redirection === 'temporary') await pause(SLOT_RETRY_MS)
        else if (redirection === 'moved' && this.#events.isMoved(error as Error)) this.renew()
        else if (!wasNotSent(error) && !(mayRepeat && wasCutOff(error))) throw explained(error)
        if (redirection !== 'temporary' && !(await this.#waitForNext())) throw explained(error)
      }
    }
  }

  /** Waits for a new connection. Resolves with whether there is one. */
  async #waitForNext(): Promise<boolean> {
    const before = this.#nextReady
    if (this.#reconnectWaitMs > 0) await new Deadline(this.#reconnectWaitMs).wait(before.promise)
    return before !== this.#nextReady
  }

  get #reconnectWaitMs(): number {
    // The loss of the connection may not have been reported yet.
    return RECONNECT_WAIT_MS - (this.#lostAt === null ? 0 : uptimeMs() - this.#lostAt)
  }

  #lost(error: Error): void {
    const isExpected = this.#isExpectingClose
    this.#isExpectingClose = false
    if (this.#lostAt === null) {
      this.#lostAt = uptimeMs()
      this.#events.lost(error)
    } else if (isExpected) return
    // This is called at every failed attempt to connect.
    else this.#events.failed(error)
  }

  /**
   * Reports the error with which Redis refuses a new connection. ioredis does not report it, because Redis closes the
   * connection then.
   */
  #watchForRefusal(stream: Socket): void {
    stream.once('data', (chunk: Buffer) => {
      const [, text] = CONNECTION_REFUSAL.exec(chunk.toString('latin1', 0, 200)) ?? []
      if (text !== undefined) this.#events.failed(Object.assign(new Error(text), { name: 'ReplyError' }))
    })
  }

  /**
   * Checks the health of every socket. Any received byte shows that the server is alive, even an error reply. The
   * checks without a byte are counted, instead of measuring time, because it may be this process that was blocked.
   */
  #checkHealth(): void {
    this.#isUnhealthy = false
    for (const redis of socketsOf(this.client)) {
      const { stream, status } = redis
      const { bytes, silentChecks } = this.#health.get(stream) ?? { bytes: 0, silentChecks: 0 }
      const received = this.#bytesOf(stream)
      const health = { bytes: received, silentChecks: received === bytes ? silentChecks + 1 : 0 }
      this.#health.set(stream, health)
      if (health.silentChecks >= SILENT_CHECKS_UNTIL_UNHEALTHY) this.#isUnhealthy = true
      if (health.silentChecks >= SILENT_CHECKS_UNTIL_DEAD) {
        this.#events.failed(new Error('A connection to Redis does not respond; reconnecting'))
        if (this.#isSubscriber) return this.renew()
        stream.destroy()
      } else if (status === 'ready') {
        redis.ping().catch(() => {})
      }
    }
  }

  /**
   * The number of bytes that a stream has received. A stream from a custom `Connector` of the application, for example
   * a tunnel, may lack `bytesRead`; its bytes are then counted here.
   */
  #bytesOf(stream: Socket & { readonly bytesRead?: number }): number {
    if (typeof stream.bytesRead === 'number') return stream.bytesRead
    const counted = this.#counted.get(stream)
    if (counted !== undefined) return counted
    this.#counted.set(stream, 0)
    stream.on('data', (chunk: Buffer) => {
      this.#counted.set(stream, this.#counted.get(stream)! + chunk.length)
    })
    return 0
  }
}

/** Every open socket with its client: one, or one for each node of a Cluster. */
function socketsOf(client: Redis | Cluster): (Redis & { stream: Socket })[] {
  const clients = isCluster(client) ? client.nodes() : [client]
  return clients.filter(hasSocket)
}

function hasSocket(redis: Redis): redis is Redis & { stream: Socket } {
  return redis.status === 'connect' || redis.status === 'ready'
}

/** Whether the server refuses INFO: a proxy or a hosted service, each with a text of its own, or `rename-command`. */
function isAboutInfo(error: Error & { readonly command?: { readonly name: string } }): boolean {
  return isRefusedOtherwise(error) && error.command?.name === 'info'
}

/** Whether the command was never sent. */
function wasNotSent(error: unknown): boolean {
  return error instanceof Error && error.message.endsWith('enableOfflineQueue options is false')
}

/** Whether the connection broke before the reply. Redis may have executed the command. */
export function wasCutOff(error: unknown): boolean {
  const cause = error instanceof BroadcasterError ? error.cause : error
  if (!(cause instanceof Error)) return false
  const { name, message } = cause
  return name === 'MaxRetriesPerRequestError' || name === 'AbortError' || message === 'Connection is closed.'
}

function explained(error: unknown): Error {
  const text = wasNotSent(error)
    ? NOT_CONNECTED
    : wasCutOff(error)
      ? 'The connection to Redis broke: it is unknown whether the command was executed'
      : null
  return text === null ? failure(error) : new BroadcasterError('brokerUnavailable', text, { cause: error })
}
