import { deferred } from '@broadcaster/protocol'
import type { EventLogger } from '../logger.ts'
import { isCluster } from './redisClients.ts'
import type { RedisConnection } from './redisConnection.ts'
import { BroadcasterError } from '../errors.ts'
import { isDenied, isMoved, isRefusedOtherwise, troubleOf } from './redisReplies.ts'
import { explainMissing, missingRights, type Names, type Right, type Step } from './redisRights.ts'
import { uptimeMs } from '../time/uptime.ts'

/**
 * The interval of reconnects to a server that refuses writes. Such a server may no longer be the master, and the
 * address may lead to a new master. A server of a Cluster also refuses commands while it does not reach most others, which
 * may have replaced it.
 */
const RENEW_INTERVAL_MS = 5000
/** The life of the key that the check writes. It expires by itself after the last node has stopped. */
const CHECK_LIFE_MS = 10_000

const CLUSTER =
  'Redis is a server of a Redis Cluster, and another server has the key: use { cluster: [{ host, port }] } instead of one address'

export interface TroubleOptions {
  readonly connection: RedisConnection
  readonly names: Names
  readonly logger: EventLogger
  /** The steps that must be allowed. They are made anew for each check. */
  steps(): readonly Step[]
  /** Writes a key as this connection does in normal operation; `null` if it writes none. */
  readonly write: (() => Promise<unknown>) | null
  /** The connection may lead to another server from now on. */
  moved(): void
  /** Whether this is a connection to a Cluster, where it is normal that a server refers to another one. */
  readonly mayRedirect: boolean
  /** Redis refuses the connection permanently. */
  refuse(error: Error): void
}

/** Detects what a connected Redis cannot do, logs it once, and detects when it is over. */
export class Trouble {
  /** The result of the first check of rights: the rights that are missing. */
  readonly missing: Promise<readonly Right[]>
  readonly #options: TroubleOptions
  readonly #rightsKnown = deferred()
  #missing: readonly Right[] = []
  #hasRights = false
  #isAnswered = false
  #code: string | null = null
  #isChecking = false
  #renewedAt = -Infinity

  constructor(options: TroubleOptions) {
    this.#options = options
    this.missing = this.#rightsKnown.promise.then(() => this.#missing)
  }

  /** The error code of Redis, such as `OOM`; `null` if there is no trouble. */
  get code(): string | null {
    return this.#code
  }

  /** The Redis user. It is known when the connection has been made. */
  get user(): string {
    const { client } = this.#options.connection
    const options = 'redisOptions' in client.options ? client.options.redisOptions : client.options
    return (options as { username?: string | null } | undefined)?.username ?? 'default'
  }

  /** There is a new connection, which may lead to another server. */
  connected(): void {
    if (this.#code !== 'MOVED') return
    this.#code = null
    this.#hasRights = false
  }

  /**
   * Redis replied to a command with an error. During a trouble only the check decides which code is current, except for
   * a missing permission.
   */
  note(error: unknown): void {
    if (this.#code === null || isDenied(error)) this.#classify(error)
  }

  /**
   * Checks whether everything works. It is called periodically, because there may be no other commands at the moment.
   */
  async check(): Promise<void> {
    const { connection, write } = this.#options
    if (this.#isChecking || !connection.isReady) return
    this.#isChecking = true
    try {
      if (!this.#hasRights && !(await this.#checkRights())) return
      if (write !== null) await write()
      this.#end()
    } catch (error) {
      // Both succeed on every Redis. So any refusal is a trouble.
      this.#classify(error, isRefusedOtherwise(error) ? 'ERR' : null)
    } finally {
      this.#isChecking = false
      if (this.#isDemoted) this.#renew()
    }
  }

  async #checkRights(): Promise<boolean> {
    const { connection, names, logger, steps, mayRedirect } = this.#options
    const missing = await missingRights(connection.client, steps(), names, mayRedirect)
    const isNew = missing.join() !== this.#missing.join()
    this.#missing = missing
    this.#hasRights = missing.length === 0
    if (!this.#hasRights) {
      this.#code = 'NOPERM'
      // The first result is logged by the caller that waits for `missing`, for all connections together.
      if (isNew && this.#isAnswered)
        logger.error({ event: 'redisRightsMissing' }, explainMissing(this.user, missing))
    }
    this.#isAnswered = true
    this.#rightsKnown.resolve()
    return this.#hasRights
  }

  #classify(error: unknown, otherwise: string | null = null): void {
    if (!this.#options.mayRedirect && isMoved(error)) return this.#beginCluster(error)
    const code = troubleOf(error) ?? otherwise
    // The error may be about a channel of the application. The next check finds out whether the node itself lacks a
    // right.
    if (code === 'NOPERM') this.#hasRights = false
    else if (code !== null) this.#begin(code, error)
  }

  #begin(code: string, error: unknown): void {
    if (this.#code === code) return
    this.#code = code
    // This lasts for a moment whenever a server of the Cluster fails. Only if it lasts for longer, another server may have replaced
    // the one that says it.
    if (code === 'CLUSTERDOWN') this.#renewedAt = uptimeMs()
    this.#options.logger.error(
      { event: 'redisTrouble', err: error },
      'Redis cannot do what is needed: new channels and sessions are not possible',
    )
  }

  /** The option names one server of a Cluster. Each key is on one of the servers, so some commands may succeed. */
  #beginCluster(cause: unknown): void {
    const error = new BroadcasterError('brokerRefused', CLUSTER, { cause })
    this.#begin('MOVED', error)
    this.#options.refuse(error)
  }

  #end(): void {
    if (this.#code === null || this.#code === 'MOVED') return
    this.#options.logger.warn({ event: 'redisTroubleOver', was: this.#code }, 'Redis can do everything again')
    const wasDemoted = this.#isDemoted
    this.#code = null
    if (wasDemoted) this.#options.moved()
  }

  get #isDemoted(): boolean {
    if (this.#code === 'CLUSTERDOWN') return this.#isAtOneServer
    return this.#code === 'READONLY' || this.#code === 'MASTERDOWN'
  }

  /** Whether this is a connection to one server of a Cluster. A client of the whole Cluster finds the owners by itself. */
  get #isAtOneServer(): boolean {
    const { mayRedirect, connection } = this.#options
    return mayRedirect && !isCluster(connection.client)
  }

  #renew(): void {
    if (uptimeMs() - this.#renewedAt < RENEW_INTERVAL_MS) return
    this.#renewedAt = uptimeMs()
    this.#options.connection.renew()
  }
}

/** Writes a key inside a script, as beacons and sessions do. */
export async function writeCheck({ commands }: RedisConnection, { namespace }: Names): Promise<void> {
  const script = "return redis.call('SET', KEYS[1], '', 'PX', ARGV[1])"
  await commands.eval(script, 1, `${namespace}check`, CHECK_LIFE_MS)
}
