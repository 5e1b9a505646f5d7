import type { Cluster, Redis, RedisOptions } from 'ioredis'
import type { Socket } from 'node:net'
import { Deadline } from '../time/deadline.ts'
import { deferred } from '../time/deferred.ts'
import { BroadcasterError } from '../errors.ts'
import type { RedisTarget } from '../options.ts'
import { isClusterTarget, isInstance, type RedisClass } from './ioredis.ts'
import { isReply } from './redisReplies.ts'
import { uptimeMs } from '../time/uptime.ts'

/** A command that has no answer by then has failed. */
const COMMAND_TIMEOUT_MS = 3000
/**
 * How often every connection is asked for a sign of life through Redis itself; TCP would take minutes. It also keeps a
 * Redis with a `timeout`, of which 1 s is the smallest, from closing connections that nobody needs just now.
 */
const SIGN_INTERVAL_MS = 500
/** So many questions without a byte in return, and a connection is not healthy any more, and then dead. */
const QUESTIONS_UNTIL_ILL = 4
const QUESTIONS_UNTIL_DEAD = 5
/** How long whoever needs a connection that has just been lost waits for the next one. */
const RECONNECT_PATIENCE_MS = 1000
const MAX_RETRY_MS = 2000
/** A command that is cut off again and again is given up. */
const MAX_TRIES = 3

/** Every command that this kit sends; `redisRights.ts` asks whether it may. */
const COMMANDS = [
  'eval',
  'evalsha',
  'publish',
  'get',
  'set',
  'del',
  'hgetall',
  'sadd',
  'srem',
  'smembers',
  'zrem',
  'zrangebyscore',
] as const

const NOT_CONNECTED = 'There is no connection to Redis: nothing was sent'

/** What Redis says to a connection that it does not take. */
const DOORMAN = /^-((?:ERR max number of clients|DENIED)[^\r]*)/

/** These may have been executed when the connection breaks, and a second time would be another thing. */
const NOT_TWICE: ReadonlySet<string> = new Set(['eval', 'evalsha', 'publish'])

/** Commands that wait for a connection which is just being made anew. */
export type Commands = Pick<Redis, (typeof COMMANDS)[number]>

export interface ConnectionEvents {
  ready(): void
  /** It was there, and is no more. */
  lost(error: Error): void
  /** What happens on it, or on the way to the next one: `lost` is told of too. */
  failed(error: Error): void
  /** Redis has answered a command with an error. */
  refused(error: Error): void
}

/** One connection to Redis, or to the nodes of a Cluster: watched, made anew when it is dead, and waited for. */
export class RedisConnection {
  readonly commands: Commands
  readonly isCluster: boolean
  readonly #target: RedisTarget
  readonly #isSubscriber: boolean
  readonly #events: ConnectionEvents
  readonly #silence = new WeakMap<Socket, { bytes: number; questions: number }>()
  readonly #counted = new WeakMap<Socket, number>()
  /** `null` while it is there. */
  #lostAt: number | null = uptimeMs()
  #back = deferred()
  #isIll = false
  /** Of a Cluster: ioredis puts another one in its place by itself, and tells nobody what was missed. */
  #clusterSubscriber: Redis | null = null
  #watch: NodeJS.Timeout | null = null
  /** `null` until ioredis is loaded. */
  #client: Redis | Cluster | null = null

  constructor(target: RedisTarget, role: 'subscriber' | 'commands', events: ConnectionEvents) {
    this.#target = target
    this.#isSubscriber = role === 'subscriber'
    this.#events = events
    this.isCluster = isClusterTarget(target)
    this.commands = this.#makeCommands()
  }

  /**
   * The client of ioredis.
   *
   * @throws {BroadcasterError} `brokerUnavailable`, before {@link connect} has made it
   */
  get client(): Redis | Cluster {
    if (this.#client === null) throw new BroadcasterError('brokerUnavailable', NOT_CONNECTED)
    return this.#client
  }

  /** Whether a command would be sent right now. */
  get isReady(): boolean {
    return this.#client?.status === 'ready'
  }

  /** Whether what needs it works, if need be after a moment: while it is just being made anew, commands wait. */
  get isUsable(): boolean {
    return this.isReady ? !this.#isIll : !this.#isSubscriber && this.isPatient
  }

  /** It was lost a moment ago, and may be back in another. */
  get isPatient(): boolean {
    return this.#patienceMs > 0
  }

  /** Connects, and goes on trying. `Client` makes a connection from a URL or from options; an instance duplicates itself. */
  connect(Client: RedisClass | null): void {
    const client = connection(
      this.#target,
      Client,
      // Polls come in crowds: the commands of one turn go to Redis in one write.
      this.#isSubscriber
        ? { autoResubscribe: false }
        : { commandTimeout: COMMAND_TIMEOUT_MS, enableAutoPipelining: true },
    )
    this.#client = client
    this.#lostAt = uptimeMs()
    client.on('ready', () => {
      this.#lostAt = null
      this.#isIll = false
      this.#clusterSubscriber = clusterSubscriberOf(client)
      this.#back.resolve()
      this.#back = deferred()
      this.#events.ready()
    })
    client.on('close', () => this.#lost(new Error('The connection to Redis was closed')))
    client.on('error', (error: Error) => {
      withoutInfo(client, error)
      this.#events.failed(error)
      // ioredis goes on with database 0 where another one is refused: that may be another application's.
      if (isReply(error)) this.renew()
    })
    if (isCluster(client)) client.on('node error', (error: Error) => this.#events.failed(error))
    else client.on('connect', () => this.#hearDoorman(client.stream as Socket))
    this.#watch = setInterval(() => this.#ask(), SIGN_INTERVAL_MS)
    this.#watch.unref()
    // A first attempt that fails is retried, and told by the events.
    client.connect().catch(() => {})
  }

  /** Drops what there is, and connects anew: where Redis is behind a name, perhaps to another server. */
  renew(): void {
    const sockets = socketsOf(this.client)
    if (isCluster(this.client)) this.client.disconnect(true)
    // `end` of a dead connection is never answered: the socket itself has to go.
    for (const { stream } of sockets) stream.destroy()
  }

  /** Which run of which server it is connected to; `null` where that can't be had. */
  async runId(): Promise<string | null> {
    // Not of a connection with subscriptions, if that is one of ioredis 5.
    const info = await this.client.info('server').catch(() => '')
    return /run_id:(\w+)/.exec(info)?.[1] ?? null
  }

  close(): void {
    if (this.#watch !== null) clearInterval(this.#watch)
    this.#client?.disconnect()
    this.#back.resolve()
  }

  #makeCommands(): Commands {
    type Methods = Record<string, (...args: unknown[]) => Promise<unknown>>
    const methods = () => this.client as unknown as Methods
    const wrap = (name: string) => [
      name,
      (...args: unknown[]) => this.#run(() => methods()[name]!(...args), !NOT_TWICE.has(name)),
    ]
    return Object.fromEntries(COMMANDS.map(wrap)) as Commands
  }

  async #run(command: () => Promise<unknown>, mayRepeat: boolean): Promise<unknown> {
    for (let tries = 1; ; tries++) {
      if (!this.isReady) await this.#waitForNext()
      try {
        return await command()
      } catch (error) {
        if (isReply(error)) this.#events.refused(error)
        const isWorthIt = wasNotSent(error) || (mayRepeat && wasCutOff(error))
        if (!isWorthIt || tries === MAX_TRIES || !(await this.#waitForNext())) throw explained(error)
      }
    }
  }

  /** Resolves with whether there is a new connection. */
  async #waitForNext(): Promise<boolean> {
    const before = this.#back
    if (this.#patienceMs > 0) await new Deadline(this.#patienceMs).wait(before.promise)
    return before !== this.#back
  }

  get #patienceMs(): number {
    // That it is lost may not have been told yet.
    return RECONNECT_PATIENCE_MS - (this.#lostAt === null ? 0 : uptimeMs() - this.#lostAt)
  }

  #lost(error: Error): void {
    if (this.#lostAt === null) {
      this.#lostAt = uptimeMs()
      this.#events.lost(error)
    }
    // At every attempt.
    else this.#events.failed(error)
  }

  /** Turned away at the door, with a word that ioredis keeps to itself since the connection is closed then. */
  #hearDoorman(stream: Socket): void {
    stream.once('data', (chunk: Buffer) => {
      const [, text] = DOORMAN.exec(chunk.toString('latin1', 0, 200)) ?? []
      if (text !== undefined) this.#events.failed(Object.assign(new Error(text), { name: 'ReplyError' }))
    })
  }

  /** Whatever comes is a sign of life, a refusal too. Questions are counted, not time: it may be us who stood still. */
  #ask(): void {
    this.#isIll = false
    for (const redis of socketsOf(this.client)) {
      const { stream, status } = redis
      const { bytes, questions } = this.#silence.get(stream) ?? { bytes: 0, questions: 0 }
      const received = this.#bytesOf(stream)
      const silence = { bytes: received, questions: received === bytes ? questions + 1 : 0 }
      this.#silence.set(stream, silence)
      if (silence.questions >= QUESTIONS_UNTIL_ILL) this.#isIll = true
      if (silence.questions >= QUESTIONS_UNTIL_DEAD) {
        this.#events.failed(new Error('A connection to Redis gives no sign of life; making a new one'))
        if (this.#isSubscriber) return this.renew()
        stream.destroy()
      } else if (status === 'ready') {
        redis.ping().catch(() => {})
      }
    }
    const subscriber = clusterSubscriberOf(this.client)
    if (this.#isSubscriber && this.isReady && subscriber !== this.#clusterSubscriber) this.renew()
  }

  /** How much has come on a stream. One that an application's `Connector` has made, a tunnel say, may not count it. */
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

/** Every stream that is open, with its client: one, or one for each node of a Cluster. */
function socketsOf(client: Redis | Cluster): (Redis & { stream: Socket })[] {
  const subscriber = clusterSubscriberOf(client)
  const clients = isCluster(client) ? [...client.nodes(), ...(subscriber ? [subscriber] : [])] : [client]
  return clients.filter(hasSocket)
}

function hasSocket(redis: Redis): redis is Redis & { stream: Socket } {
  return redis.status === 'connect' || redis.status === 'ready'
}

/** The connection of a Cluster on which its subscriptions are; the types of ioredis keep it to themselves. */
function clusterSubscriberOf(client: Redis | Cluster): Redis | null {
  if (!isCluster(client)) return null
  const { subscriber } = client as unknown as { subscriber: { getInstance(): Redis | null } }
  return subscriber.getInstance()
}

/** A Redis that knows no INFO can't be asked whether it is ready: a proxy, or a command that was renamed. */
function withoutInfo({ options }: Redis | Cluster, { message }: Error): void {
  if (/unknown command.*\binfo\b/i.test(message)) options.enableReadyCheck = false
}

/** Whether it never left this process. */
function wasNotSent(error: unknown): boolean {
  return error instanceof Error && error.message.endsWith('enableOfflineQueue options is false')
}

/** Whether it was on its way when the connection broke: Redis may have executed it. */
export function wasCutOff(error: unknown): boolean {
  const cause = error instanceof BroadcasterError ? error.cause : error
  if (!(cause instanceof Error)) return false
  const { name, message } = cause
  return name === 'MaxRetriesPerRequestError' || name === 'AbortError' || message === 'Connection is closed.'
}

function explained(error: unknown): unknown {
  const text = wasNotSent(error)
    ? NOT_CONNECTED
    : wasCutOff(error)
      ? 'The connection to Redis broke: nobody can say whether the command was executed'
      : null
  return text === null ? error : new BroadcasterError('brokerUnavailable', text, { cause: error })
}

function connection(
  target: RedisTarget,
  Client: RedisClass | null,
  own: Pick<RedisOptions, 'autoResubscribe' | 'commandTimeout' | 'enableAutoPipelining'>,
): Redis | Cluster {
  const settings = {
    lazyConnect: true,
    // Whoever asks while Redis is away is told at once, instead of being answered long after he has gone.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (attempt: number) => Math.min(100 * attempt, MAX_RETRY_MS),
    // While Redis is loading its data it is asked once a second, which also tells that it lives.
    maxLoadingRetryTime: 1000,
    // Channels are plain names, and keys have a namespace of their own.
    keyPrefix: '',
    // Replies in the shape that we read, whatever the application likes for its own.
    replyMapping: 'legacy' as const,
    stringNumbers: false,
    ...own,
  }
  if (isInstance(target)) {
    if (isCluster(target)) {
      const redisOptions = { commandTimeout: COMMAND_TIMEOUT_MS }
      return target.duplicate([], {
        lazyConnect: true,
        enableOfflineQueue: false,
        keyPrefix: '',
        redisOptions,
      })
    }
    return target.duplicate({ ...sentinels(target.options), ...settings })
  }
  if (typeof target === 'string') return new Client!(target, settings)
  return new Client!({ ...sentinels(target), ...target, ...settings })
}

/** A sentinel that does not answer must not be waited for without end. */
function sentinels({ sentinelCommandTimeout }: RedisOptions): RedisOptions {
  return { sentinelCommandTimeout: sentinelCommandTimeout ?? COMMAND_TIMEOUT_MS }
}

/** Not `instanceof`: the instance may come from another copy of ioredis. */
function isCluster(target: Redis | Cluster): target is Cluster {
  return target.isCluster
}
