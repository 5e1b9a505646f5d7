import { randomUUID } from 'node:crypto'
import { KEPT_REVOCATIONS, type Backend } from '../backends/backend.ts'
import type { ControlCodec } from '../control/codec.ts'
import type { Revocation } from '../control/control.ts'
import type { Logger } from '../logger.ts'
import { uptimeMs } from '../time/uptime.ts'

/** A connection is dead for a while before anybody notices, and clocks of nodes and Redis run at different speeds. */
const MARGIN_MS = 10_000
/** How often it is tried again to read what was missed. */
const RETRY_MS = 500

export interface MissedRevocationsOptions {
  readonly backend: Backend
  readonly codec: ControlCodec
  readonly controlChannel: string
  readonly logger: Logger
  apply(revocation: Revocation): void
  /** Some were applied: polls that wait here may be of sessions that have changed meanwhile. */
  applied(): void
}

/**
 * A node whose subscriber is away does not hear revocations. They are kept in Redis for a while, and when it is back it applies
 * those that it has not heard.
 */
export class MissedRevocations {
  readonly #options: MissedRevocationsOptions
  /** Ids of those that were heard, oldest first. */
  readonly #heard = new Set<string>()
  #isClosed = false

  constructor(options: MissedRevocationsOptions) {
    this.#options = options
  }

  /** Keeps a revocation, before it is published: a node that comes back meanwhile reads it or hears it. */
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

  /** Applies what was not heard in the last `downMs`, however long it takes to read it. */
  async catchUp(downMs: number): Promise<void> {
    const { backend, logger } = this.#options
    const began = uptimeMs()
    while (!this.#isClosed) {
      try {
        const texts = await backend.keptRevocations(downMs + MARGIN_MS + uptimeMs() - began)
        return this.#apply(texts)
      } catch (error) {
        logger.debug({ err: error }, 'Revocations that were missed could not be read; trying again')
        await new Promise((resolve) => void setTimeout(resolve, RETRY_MS).unref())
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
      const isRevocation = message?.type === 'disconnect' || message?.type === 'unsubscribe'
      if (!isRevocation || this.#heard.has(message.id ?? '')) continue
      missed += 1
      apply(message)
    }
    if (missed === 0) return
    logger.warn({ missed }, 'Revocations were applied late: the subscriptions of this node were away')
    applied()
  }
}
