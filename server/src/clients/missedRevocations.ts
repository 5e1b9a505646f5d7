import { randomUUID } from 'node:crypto'
import { KEPT_REVOCATIONS, type Backend } from '../backends/backend.ts'
import type { ControlCodec } from '../control/codec.ts'
import { isRevocation, type Revocation } from '../control/control.ts'
import { logFailure } from '../errors.ts'
import type { EventLogger } from '../logger.ts'
import { pause } from '../time/pause.ts'
import { uptimeMs } from '../time/uptime.ts'

/**
 * A margin for the time until a dead connection is detected, and for the different speeds of the clocks of nodes and
 * Redis.
 */
const MARGIN_MS = 10_000
/** The interval of retries to read the missed revocations. */
const RETRY_MS = 500

export interface MissedRevocationsOptions {
  readonly backend: Backend
  readonly codec: ControlCodec
  readonly controlChannel: string
  readonly logger: EventLogger
  apply(revocation: Revocation): void
  /**
   * Called after revocations were applied late. The sessions of waiting polls may have changed meanwhile, on other
   * nodes.
   */
  applied(): void
}

/**
 * Applies revocations that this node missed. A node whose subscriber is not connected yet, or not any more, receives none.
 * They are stored in Redis for a limited time. When the subscriber is connected, the node applies those that it has not
 * received.
 */
export class MissedRevocations {
  readonly #options: MissedRevocationsOptions
  readonly #startedAt = uptimeMs()
  /** The ids of received revocations, oldest first. */
  readonly #heard = new Set<string>()
  #isClosed = false

  constructor(options: MissedRevocationsOptions) {
    this.#options = options
  }

  /**
   * Stores a revocation before it is published. So a node that reconnects at the same time either reads it or receives
   * it.
   */
  async keep(revocation: Revocation): Promise<Revocation> {
    const { backend, codec, controlChannel } = this.#options
    const named = { ...revocation, id: randomUUID() }
    await backend.keepRevocation(codec.encode(controlChannel, named))
    return named
  }

  heard({ id }: Revocation): void {
    if (id === undefined) return
    this.#heard.add(id)
    if (this.#heard.size <= KEPT_REVOCATIONS.count) return
    for (const oldest of this.#heard) return void this.#heard.delete(oldest)
  }

  /**
   * Applies the revocations of the last `downMs` that were not received. `null`: those since the node was started, because a
   * client may have come before the node received anything. There is no margin then: no client was on the node before.
   * Retries until they could be read; the time of the retries is added.
   */
  async catchUp(downMs: number | null): Promise<void> {
    const { backend, logger } = this.#options
    const began = uptimeMs()
    const missedMs = downMs === null ? began - this.#startedAt : downMs + MARGIN_MS
    while (!this.#isClosed) {
      try {
        const texts = await backend.keptRevocations(missedMs + uptimeMs() - began)
        return this.#apply(texts)
      } catch (error) {
        logFailure(logger, 'missedRevocationsUnread', error, 'Missed revocations could not be read; retrying')
        await pause(RETRY_MS)
      }
    }
  }

  close(): void {
    this.#isClosed = true
  }

  #apply(texts: readonly string[]): void {
    const { codec, controlChannel, apply, applied, logger } = this.#options
    let missed = 0
    for (const text of texts) {
      const message = codec.decodeKept(controlChannel, text)
      if (message === null || !isRevocation(message) || this.#heard.has(message.id ?? '')) continue
      missed += 1
      apply(message)
    }
    if (missed === 0) return
    logger.warn(
      { event: 'revocationsLate', missed },
      'Revocations were applied late: this node was not connected to Redis',
    )
    applied()
  }
}
