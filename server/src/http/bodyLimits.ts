import type { Parsed } from '@broadcaster/protocol'
import { constants } from 'node:buffer'
import { ENVELOPE_BYTES } from '../clients/access.ts'
import type { Limits } from '../options.ts'

/** JSON may write every byte of a name as an escape: `\u0000`. */
const BYTES_OF_ESCAPE = 6
/** A position has 64 characters at most; around it are quotes, a colon and a comma. */
const BYTES_OF_POSITION = 72

/** Bytes that a long-poll request may have. A poll names every channel of its client, however many it may have. */
export class BodyLimits {
  /** Every message, on both transports. */
  readonly message: number
  readonly poll: number

  constructor({ messageBytes, channelBytes, channelsPerConnection, channelNamesBytes }: Limits) {
    const nameBytes = Math.min(channelNamesBytes, channelsPerConnection * channelBytes)
    const pollBytes = ENVELOPE_BYTES + nameBytes * BYTES_OF_ESCAPE + channelsPerConnection * BYTES_OF_POSITION
    this.message = finite(messageBytes)
    this.poll = finite(Math.max(messageBytes, pollBytes))
  }

  /** Whether that is too much for what the body turned out to be. */
  isOver(bytes: number, parsed: Parsed): boolean {
    const isPoll = parsed.kind === 'message' && parsed.message.__type === 'poll'
    return bytes > (isPoll ? this.poll : this.message)
  }
}

/** What a message can be at most in any case: Node makes no text of more, and `ws` counts in 32 bits. */
function finite(limit: number): number {
  return Math.min(limit, constants.MAX_STRING_LENGTH)
}
