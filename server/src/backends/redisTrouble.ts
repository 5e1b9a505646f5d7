import { deferred } from '../time/deferred.ts'
import type { Logger } from '../logger.ts'
import type { RedisConnection } from './redisConnection.ts'
import { isDenied, troubleOf } from './redisReplies.ts'
import { explainMissing, missingRights, type Names, type Right } from './redisRights.ts'
import { uptimeMs } from '../time/uptime.ts'

/** A server that may not be written to any more may not be the master any more: perhaps there is another by now. */
const RENEW_INTERVAL_MS = 5000
/** Gone by itself when the last node is. */
const CHECK_LIFE_MS = 10_000

export interface TroubleOptions {
  readonly connection: RedisConnection
  readonly names: Names
  readonly logger: Logger
  /** What has to be allowed; made anew for each try. */
  steps(): Parameters<typeof missingRights>[1]
  /** Whether keys are written over it. */
  readonly writes: boolean
  /** It may be another server from now on. */
  moved(): void
}

/** What Redis can't do for us although it is there: found out, logged once, and found to be over. */
export class Trouble {
  /** The first answer to what we may: the rights that are missing. */
  readonly missing: Promise<readonly Right[]>
  readonly #options: TroubleOptions
  readonly #asked = deferred()
  #missing: readonly Right[] = []
  #hasRights = false
  #isAnswered = false
  #code: string | null = null
  #isChecking = false
  #renewedAt = -Infinity

  constructor(options: TroubleOptions) {
    this.#options = options
    this.missing = this.#asked.promise.then(() => this.#missing)
  }

  /** The code of what Redis says, such as `OOM`; `null` if all is well. */
  get code(): string | null {
    return this.#code
  }

  /** The Redis user. */
  get user(): string {
    const { client } = this.#options.connection
    const options = 'redisOptions' in client.options ? client.options.redisOptions : client.options
    return (options as { username?: string | null } | undefined)?.username ?? 'default'
  }

  /** Redis has answered a command with an error. What it says to the check counts, once there is trouble. */
  note(error: unknown): void {
    if (this.#code === null || isDenied(error)) this.#judge(error)
  }

  /** Whether everything works: called again and again, for nobody else may be asking just now. */
  async check(): Promise<void> {
    const { connection, names, writes } = this.#options
    if (this.#isChecking || !connection.isReady) return
    this.#isChecking = true
    try {
      if (!this.#hasRights && !(await this.#askRights())) return
      if (writes) await write(connection, names)
      this.#end()
    } catch (error) {
      this.#judge(error)
    } finally {
      this.#isChecking = false
      if (this.#isDemoted) this.#renew()
    }
  }

  async #askRights(): Promise<boolean> {
    const { connection, names, logger, steps } = this.#options
    const missing = await missingRights(connection.client, steps(), names)
    const isNews = missing.join() !== this.#missing.join()
    this.#missing = missing
    this.#hasRights = missing.length === 0
    if (!this.#hasRights) {
      this.#code = 'NOPERM'
      // The first time it is for whoever waits for `missing` to say it, of all connections together.
      if (isNews && this.#isAnswered) logger.error({}, explainMissing(this.user, missing))
    }
    this.#isAnswered = true
    this.#asked.resolve()
    return this.#hasRights
  }

  #judge(error: unknown): void {
    const code = troubleOf(error)
    // It may have been about a channel of the application's: the next check finds out what we need.
    if (code === 'NOPERM') this.#hasRights = false
    else if (code !== null) this.#begin(code, error)
  }

  #begin(code: string, error: unknown): void {
    if (this.#code === code) return
    this.#code = code
    this.#options.logger.error({ err: error }, "Redis can't do what is needed: no new channels and sessions")
  }

  #end(): void {
    if (this.#code === null) return
    this.#options.logger.warn({ was: this.#code }, 'Redis can do everything again')
    const wasDemoted = this.#isDemoted
    this.#code = null
    if (wasDemoted) this.#options.moved()
  }

  get #isDemoted(): boolean {
    return this.#code === 'READONLY' || this.#code === 'MASTERDOWN'
  }

  #renew(): void {
    if (uptimeMs() - this.#renewedAt < RENEW_INTERVAL_MS) return
    this.#renewedAt = uptimeMs()
    this.#options.connection.renew()
  }
}

/** As beacons and sessions do it: within a script. */
async function write({ commands }: RedisConnection, { namespace }: Names): Promise<void> {
  const script = "return redis.call('SET', KEYS[1], '', 'PX', ARGV[1])"
  await commands.eval(script, 1, `${namespace}check`, CHECK_LIFE_MS)
}
