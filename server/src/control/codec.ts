import { encodeControl, parseControl, type ControlMessage } from './control.ts'

/** How control messages travel on a channel: plain, or signed (see `signing.ts`). */
export interface ControlCodec {
  /** Whether beacons have to be encoded too, in place of the broker's own. */
  readonly isSigned: boolean
  /** Messages that were ignored because they were not signed as they should be. */
  readonly refused: number
  encode(channel: string, message: ControlMessage): string
  /** `null` for what is not a control message of this version, or not one of our nodes'. */
  decode(channel: string, text: string): ControlMessage | null
  /** The same of a message that was kept in Redis: its age does not count. */
  decodeKept(channel: string, text: string): ControlMessage | null
  /** What the broker's clock says now. */
  brokerTime(nowMs: number): void
}

/** Without a secret: whoever can publish on the channel is believed. */
export const plainCodec: ControlCodec = {
  isSigned: false,
  refused: 0,
  encode: (_channel, message) => encodeControl(message),
  decode: (_channel, text) => parseControl(text),
  decodeKept: (_channel, text) => parseControl(text),
  brokerTime: () => {},
}
