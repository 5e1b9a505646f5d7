import { deferred } from '@broadcaster/protocol'
import type { Backend, BackendReceiver } from '../backends/backend.ts'
import { closed } from '../errors.ts'
import { uptimeMs } from '../time/uptime.ts'

/** Whether this node receives the messages of the broker, from its start and over every connection that breaks. */
export class Listening {
  readonly #backend: Backend
  readonly #onBack: (downMs: number) => void
  readonly #started = deferred()
  /** Whether all subscriptions that were requested when the connection came up are confirmed. */
  #isReady = false
  #isClosed = false
  /** Since when control messages may have been missed; `null` while all are received. */
  #downSince: number | null = null

  /** @param onBack See `HubOptions`. */
  constructor(backend: Backend, onBack: (downMs: number) => void) {
    this.#backend = backend
    this.#onBack = onBack
  }

  get isNow(): boolean {
    return this.#isReady && this.#backend.isConnected && !this.#isClosed
  }

  /** Resolves when messages are received. */
  async start(receiver: BackendReceiver): Promise<void> {
    const connected = this.#backend.start(receiver)
    // With the race, a close before the backend has started rejects the promise, too.
    await Promise.race([connected, this.#started.promise])
    await Promise.all([connected, this.#started.promise])
  }

  /** All subscriptions are confirmed. */
  ready(): void {
    this.#isReady = true
    this.#started.resolve()
    if (this.#downSince !== null) this.#onBack(uptimeMs() - this.#downSince)
    this.#downSince = null
  }

  /** The connection broke. */
  down(): void {
    if (this.#isReady) this.#downSince ??= uptimeMs()
    this.#isReady = false
  }

  close(): void {
    this.#isClosed = true
    this.#started.reject(closed())
  }
}
