import type { Parsed } from '@broadcaster/protocol'
import { constants } from 'node:buffer'
import { ENVELOPE_BYTES } from '../clients/access.ts'
import type { Limits } from '../limits.ts'
import { BodyDeadlines } from './bodyDeadlines.ts'

/** The maximum size of one byte of a name in JSON: an escape such as `\u0000`. */
const BYTES_OF_ESCAPE = 6
/** The maximum size of a position in a poll: up to 64 characters, with quotes, a colon and a comma. */
const BYTES_OF_POSITION = 72

/**
 * The size limits of long-poll requests. A poll names every channel of its client, so its limit depends on the maximum
 * number of channels.
 */
export class BodyLimits {
  /** The limit for every message, on both transports. */
  readonly message: number
  readonly poll: number
  /** The limit for all bodies that are being received, together. Their clients have not authenticated yet. */
  readonly #total: number
  readonly deadlines = new BodyDeadlines()
  #receiving = 0

  constructor({ messageBytes, totalBufferedBytes, ...limits }: Limits) {
    const { channelBytes, channelsPerConnection, channelNamesBytes } = limits
    this.#total = totalBufferedBytes
    const nameBytes = Math.min(channelNamesBytes, channelsPerConnection * channelBytes)
    const pollBytes = ENVELOPE_BYTES + nameBytes * BYTES_OF_ESCAPE + channelsPerConnection * BYTES_OF_POSITION
    this.message = finite(messageBytes)
    this.poll = finite(Math.max(messageBytes, pollBytes))
  }

  /** Adds bytes of a body that is not complete. Returns false if there are too many. {@link release} must follow. */
  receive(bytes: number): boolean {
    this.#receiving += bytes
    return this.#receiving <= this.#total
  }

  release(bytes: number): void {
    this.#receiving -= bytes
  }

  /** Whether a body of this size exceeds the limit for its type. */
  isOver(bytes: number, parsed: Parsed): boolean {
    const isPoll = parsed.kind === 'message' && parsed.message.__type === 'poll'
    return bytes > (isPoll ? this.poll : this.message)
  }
}

/** The limit, reduced to the maximum length of a string in Node. `ws` also stores the limit in 32 bits. */
function finite(limit: number): number {
  return Math.min(limit, constants.MAX_STRING_LENGTH)
}
