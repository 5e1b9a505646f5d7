import { isSameRun } from '../channels/position.ts'
import { HOLD, PUBLISH } from './beaconScripts.ts'
import type { RedisConnection } from './redisConnection.ts'
import type { OrderNames } from './orderNames.ts'
import { redisScripts, type RedisScripts } from './redisScripts.ts'

const scripts = { hold: HOLD, publish: PUBLISH }
/** A message whose reply was lost may have been published. The caller decides whether to publish it again. */
const unrepeatable = new Set(['publish'])

export interface ClusterOrderOptions {
  readonly subscriber: RedisConnection
  readonly publisher: RedisConnection
  readonly names: OrderNames
  /** Whether messages are published with SPUBLISH. */
  readonly isShard: boolean
  /** The subscriber connection leads to the right server: it can subscribe. */
  joined(): void
}

/**
 * The order of one server of a Redis Cluster: the owner of the slot of the beacon's key. Only the subscribers of one
 * server receive messages in the same order, so all nodes subscribe at this server. They publish with SPUBLISH, or with
 * scripts that have the key. A server refuses both if it does not own the slot, so a message is never published elsewhere.
 *
 * The subscriber connection cannot be checked by itself: also a replica, or a former owner, accepts SUBSCRIBE. So it
 * counts as joined if it leads to the process that executes the scripts. This is checked when either connection is new,
 * and once a second. It counts until the run of the owner changes (see `beaconScripts.ts`).
 */
export class ClusterOrder {
  readonly #options: ClusterOrderOptions
  readonly #scripts: RedisScripts<keyof typeof scripts>
  /** The run in which the subscriber connection has joined; `null` if it has not. */
  #run: number | null = null
  /** The `run_id` of the process to which the subscriber connection leads. */
  #server: Promise<string | null> | null = null
  #isSuspicious = false
  /** Whether the connection for commands has recorded in the key which server holds the slot. */
  #hasRecorded = false

  constructor(options: ClusterOrderOptions) {
    this.#options = options
    this.#scripts = redisScripts(options.publisher.commands, scripts, unrepeatable)
  }

  /** The subscriber connection is new. */
  arrived(): void {
    // Asked at once: with RESP2, a connection with subscriptions cannot ask.
    this.#server = this.#options.subscriber.runId()
    this.#run = null
    this.#checkSoon()
  }

  /** The subscriber connection broke. */
  lost(): void {
    this.#server = null
    this.#run = null
  }

  /** The connection for commands is new. Its first command records in the key which server holds the slot. */
  publisherArrived(): void {
    this.#checkSoon()
  }

  /** The connection for commands broke. The next one may lead to another server. */
  publisherLost(): void {
    this.#hasRecorded = false
  }

  /**
   * Whether a beacon was made in the run in which the subscriber connection has joined. Another one comes from another
   * server, over the bus of the Cluster. Then this connection may be at the wrong server.
   */
  includes(beacon: number): boolean {
    if (this.#run !== null && isSameRun(beacon, this.#run)) return true
    if (!this.#isSuspicious && this.#run !== null) {
      this.#isSuspicious = true
      void this.#quietly(this.check()).finally(() => (this.#isSuspicious = false))
    }
    return false
  }

  publish(channel: string, body: string | Buffer): Promise<number> {
    // If the slot moves to another server and back, nodes that have not noticed recognize it by this record.
    if (!this.#hasRecorded) this.#checkSoon()
    const { isShard, publisher, names } = this.#options
    if (isShard) return publisher.commands.spublish(channel, body) as Promise<number>
    return this.#scripts.publish([names.beaconKey], channel, body) as Promise<number>
  }

  /** Joins, or leaves, depending on which server holds the slot now. Rejects if that is not known. */
  async check(): Promise<void> {
    const { subscriber, publisher, joined, names } = this.#options
    if (publisher.isReady) this.#hasRecorded = true
    const [server, run] = (await this.#scripts.hold([names.beaconKey], names.salt)) as [string, number]
    const asked = this.#server
    if (asked === null || (this.#run !== null && this.#run === run)) return
    if (this.#run !== null) return subscriber.renew()
    const here = await asked
    // Another check may have decided meanwhile, or the connection may be another one.
    if (asked !== this.#server || this.#run !== null) return
    if (here !== server) return subscriber.renew()
    this.#run = run
    joined()
  }

  /** The check once a second repeats this one, and reports the error. */
  #checkSoon(): void {
    void this.#quietly(this.check())
  }

  async #quietly(check: Promise<void>): Promise<void> {
    await check.catch(() => {})
  }
}
