import type { Backend } from '../backends/backend.ts'
import { BroadcasterError } from '../errors.ts'
import { describe } from '../input/json.ts'
import { toPayload } from '../input/payload.ts'
import { isUtf8 } from '../input/text.ts'
import type { Counts } from '../metrics/counts.ts'
import type { ResolvedOptions } from '../options.ts'

export interface PublisherSetup {
  readonly backend: Backend
  readonly channels: ResolvedOptions['channels']
  readonly isReserved: (channel: string) => boolean
  readonly maxBytes: number
  readonly limitCounts: Counts['limits']
}

/** Checks and encodes what the application publishes. */
export class Publisher {
  readonly #setup: PublisherSetup

  constructor(setup: PublisherSetup) {
    this.#setup = setup
  }

  /** @throws {BroadcasterError} `invalidOption`, before anything is published */
  async publish(channel: string, body: unknown): Promise<void> {
    const { backend, isReserved, maxBytes, limitCounts } = this.#setup
    checkChannel('publish', channel)
    if (isReserved(channel)) {
      const text = `publish(): ${channel} is reserved for messages of the nodes or of Redis`
      throw new BroadcasterError('invalidOption', text)
    }
    const payload = this.#encode(channel, body)
    const bytes = Buffer.byteLength(payload)
    if (bytes > maxBytes) {
      limitCounts.publishedBytes += 1
      const text = `publish(): the body has ${bytes} bytes; limits.publishedBytes is ${maxBytes}`
      throw new BroadcasterError('invalidOption', text)
    }
    await backend.publish(channel, payload)
  }

  #encode(channel: string, body: unknown): string | Buffer {
    const { channels } = this.#setup
    if (!channels) return toPayload(body)
    try {
      return channels.encode(channel, body)
    } catch (error) {
      const { message } = error as Error
      throw new BroadcasterError('invalidOption', `publish(): ${message}`, { cause: error })
    }
  }
}

/** @throws {BroadcasterError} `invalidOption` */
export function checkChannel(method: string, channel: unknown): void {
  if (typeof channel === 'string' && isUtf8(channel)) return
  const got =
    typeof channel === 'string' ? 'a lone surrogate, which UTF-8 cannot represent' : describe(channel)
  throw new BroadcasterError('invalidOption', `${method}(): expected a channel name, got ${got}`)
}
