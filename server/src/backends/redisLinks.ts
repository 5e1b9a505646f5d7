import { deferred } from '@broadcaster/protocol'
import { BroadcasterError } from '../errors.ts'
import type { EventLogger } from '../logger.ts'
import type { Ioredis } from './ioredis.ts'
import type { ClientSource } from './redisClients.ts'
import { RedisConnection } from './redisConnection.ts'
import { Outage } from './redisOutage.ts'
import { isRefusal, isReply } from './redisReplies.ts'
import { explainMissing, type Names, type Step } from './redisRights.ts'
import { Trouble } from './redisTrouble.ts'
import { explainTls } from './tlsErrors.ts'

/** How often it is checked whether Redis can do everything that is needed. */
const CHECK_INTERVAL_MS = 1000

export interface LinkOptions {
  readonly source: ClientSource
  readonly role: 'subscriber' | 'commands'
  /** The commands that must be allowed. They are made anew for each check. */
  steps(): readonly Step[]
  /** Writes a key as this connection does in normal operation; `null` if it writes none. */
  readonly write: ((connection: RedisConnection) => Promise<unknown>) | null
  ready?(): void
  /** The established connection was lost. */
  lost?(error: Error): void
  /** A subscriber connection was lost, or an attempt to connect has failed. */
  down?(error: Error): void
  /** Redis replied to a command with an error. */
  refused?(error: Error): void
  /** See `ConnectionEvents.isMoved`. It is missing if this is no connection to a Cluster. */
  isMoved?(error: Error): boolean
  /** The connection may lead to another server from now on. */
  moved?(): void
}

/** A connection, and what Redis cannot do on it. */
export interface Link {
  readonly connection: RedisConnection
  readonly trouble: Trouble
}

/** Returns the code of the trouble of the first connection that has one, as a short text; `null` if none has. */
export function troubleOf(links: Iterable<Link>): string | null {
  for (const { connection, trouble } of links) {
    const { isReady, canWait } = connection
    // The trouble lasts while its connection is renewed, to find a new master.
    if ((isReady || canWait) && trouble.code !== null) return `Redis says ${trouble.code}`
  }
  return null
}

/** All connections of a node to Redis. Outages and missing rights are reported for all of them together. */
export class RedisLinks {
  /** Rejects if Redis refuses a connection permanently. */
  readonly refused: Promise<void>
  readonly #names: Names
  readonly #logger: EventLogger
  readonly #outage: Outage
  readonly #all = new Set<Link>()
  readonly #refuse: (error: Error) => void
  #checks: NodeJS.Timeout | null = null
  #isClosed = false

  constructor(names: Names, logger: EventLogger) {
    this.#names = names
    this.#logger = logger
    this.#outage = new Outage(logger)
    const { promise, reject } = deferred()
    this.refused = promise
    this.#refuse = reject
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Whether a connection that is needed will not be made again. */
  get haveEnded(): boolean {
    return [...this.#all].some(({ connection }) => connection.hasEnded)
  }

  /** Makes a connection, which does not connect yet. */
  add(options: LinkOptions): Link {
    const connection: RedisConnection = new RedisConnection(options.source, options.role, {
      ready: () => {
        options.ready?.()
        trouble.connected()
        void trouble.check()
        if ([...this.#all].every((link) => link.connection.isReady)) this.#outage.end()
      },
      lost: (error) => {
        if (!this.#all.has(link)) return
        this.#logger.debug({ event: 'redisConnectionLost', err: error }, 'A connection to Redis was lost')
        options.lost?.(error)
        if (options.role === 'subscriber') this.#down(options, error)
      },
      failed: (error) => {
        if (this.#all.has(link)) this.#failed(options, connection, error)
      },
      refused: (error) => {
        options.refused?.(error)
        trouble.note(error)
      },
      isMoved: (error) => options.isMoved?.(error) ?? false,
    })
    const { write, steps } = options
    const trouble = new Trouble({
      connection,
      names: this.#names,
      logger: this.#logger,
      write: write && (() => write(connection)),
      steps,
      moved: () => options.moved?.(),
      mayRedirect: options.isMoved !== undefined,
      refuse: (error) => this.#refuse(error),
    })
    const link = { connection, trouble }
    this.#all.add(link)
    return link
  }

  /** Closes a connection that is not needed any more. */
  remove(link: Link): void {
    this.#all.delete(link)
    link.connection.close()
  }

  connect(links: Iterable<Link>, ioredis: Ioredis | null): void {
    if (this.#isClosed) return
    for (const { connection } of links) connection.connect(ioredis)
    this.#checks ??= setInterval(() => this.#check(), CHECK_INTERVAL_MS).unref()
  }

  /** Resolves when every connection is established and has all the rights that are needed. */
  async checkRights(): Promise<void> {
    const missing = new Map<string, Set<string>>()
    for (const { trouble } of this.#all) {
      const asked = await trouble.missing
      const rights = missing.get(trouble.user) ?? new Set()
      missing.set(trouble.user, rights)
      for (const right of asked) rights.add(right)
    }
    const texts = [...missing].filter(([, rights]) => rights.size > 0)
    if (texts.length === 0) return
    const text = texts.map(([user, rights]) => explainMissing(user, [...rights])).join('; ')
    throw new BroadcasterError('brokerRefused', text)
  }

  close(): void {
    this.#isClosed = true
    if (this.#checks !== null) clearInterval(this.#checks)
    for (const { connection } of this.#all) connection.close()
  }

  #check(): void {
    for (const { trouble } of this.#all) void trouble.check()
  }

  #failed(options: LinkOptions, connection: RedisConnection, error: Error): void {
    if (this.#isClosed) return
    this.#logger.debug({ event: 'redisConnectionFailed', err: error }, 'A connection to Redis failed')
    if (options.role === 'subscriber') this.#down(options, error)
    // A connection for commands that is restored within a moment is not logged as an outage, because commands wait for
    // it.
    else if (!connection.isReady && !connection.canWait) this.#outage.begin(error)
    if (isReply(error)) this.#outage.log(error)
    const text = explainRefusal(error)
    if (text !== null) this.#refuse(new BroadcasterError('brokerRefused', text, { cause: error }))
  }

  #down(options: LinkOptions, error: Error): void {
    if (this.#isClosed) return
    this.#outage.begin(error)
    options.down?.(error)
  }
}

/** The text about an error with which every attempt to connect fails; `null` for any other error. */
function explainRefusal(error: Error): string | null {
  if (!isReply(error)) return explainTls(error)
  return isRefusal(error) ? `Redis refuses the connection: ${error.message}` : null
}
