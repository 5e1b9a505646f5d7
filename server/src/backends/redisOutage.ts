import type { EventLogger, LogEvent } from '../logger.ts'

/**
 * The maximum number of refusals that are logged in one outage. Their texts may contain addresses, so each may be a new
 * text.
 */
const MAX_LOGGED_ERRORS = 20

/** The log of an outage: its begin, the errors of Redis during it, and its end. Each is logged once. */
export class Outage {
  readonly #logger: EventLogger
  readonly #logged = new Set<string>()
  #since: number | null = null

  constructor(logger: EventLogger) {
    this.#logger = logger
  }

  begin(error: Error): void {
    if (this.#since !== null) return
    this.#since = Date.now()
    this.#log('redisAway', error, 'Redis is away; retrying')
  }

  /** Logs an error once, not at every attempt to connect. */
  log(error: Error): void {
    this.#log('redisConnectionRefused', error, 'Redis refuses the connection')
  }

  #log(event: LogEvent, error: Error, message: string): void {
    if (this.#logged.has(error.message) || this.#logged.size >= MAX_LOGGED_ERRORS) return
    this.#logged.add(error.message)
    this.#logger.error({ event, err: error }, message)
  }

  end(): void {
    this.#logged.clear()
    if (this.#since === null) return
    this.#logger.warn({ event: 'redisBack', downMs: Date.now() - this.#since }, 'Redis is back')
    this.#since = null
  }
}
