import { encodeControl, parseControl, type ControlMessage } from './control.ts'

/** Encodes and decodes control messages on a channel, either unsigned or signed (see `signing.ts`). */
export interface ControlCodec {
  /** Whether a beacon must be encoded by a node too. Otherwise the broker writes the beacon message itself. */
  readonly isSigned: boolean
  /** The number of messages that were ignored because their signature was missing or invalid. */
  readonly refused: number
  encode(channel: string, message: ControlMessage): string
  /** Returns `null` if the text is not a control message of this version, or was not signed by one of our nodes. */
  decode(channel: string, text: string): ControlMessage | null
  /**
   * Decodes a message that was stored in Redis. It differs from {@link decode} in that the age of the message is not
   * checked.
   */
  decodeKept(channel: string, text: string): ControlMessage | null
  /**
   * A codec for the control messages of one more broker. Messages of different brokers may arrive in another order than
   * they were sent, so each broker has a codec of its own. The count of refused messages is the same.
   */
  fork(): ControlCodec
  /** Sets the current time of the broker's clock. */
  brokerTime(nowMs: number): void
}

/** The codec without a secret. It trusts everybody who can publish on the channel. */
export const plainCodec: ControlCodec = {
  isSigned: false,
  refused: 0,
  encode: (_channel, message) => encodeControl(message),
  decode: (_channel, text) => parseControl(text),
  decodeKept: (_channel, text) => parseControl(text),
  fork: () => plainCodec,
  brokerTime: () => {},
}
