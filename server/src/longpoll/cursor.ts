import type { GapReason } from '@broadcaster/protocol'
import type { LoggedChannel } from '../channels/channel.ts'
import type { Position } from '../channels/position.ts'

/** A channel of a poll, and the position from which it is read. */
export interface Cursor {
  readonly channel: LoggedChannel
  readonly from: Position
  /** Why messages before `from` are missing; `null` if none are. */
  readonly gap: GapReason | null
  /** The last position of the answer, if the poll is a repetition; `null`: the answer has all messages that there are. */
  readonly end: Position | null
}

/**
 * The time since which the first message after the cursor waits; `-Infinity` if the answer can not wait, `Infinity` if there is
 * nothing to answer with.
 */
export function dueAt(cursor: Cursor): number {
  const { channel, from } = cursor
  if (channel.state !== 'live') return Infinity
  const { log } = channel
  // A gap need not wait, and messages that the log may soon drop must not wait.
  if (gapOf(cursor) !== null || log.isUrgent(from)) return -Infinity
  return log.firstAfter(from)?.receivedAt ?? Infinity
}

export function gapOf({ channel, from, gap }: Cursor): GapReason | null {
  if (gap !== null) return gap
  const { log } = channel
  return channel.state === 'live' && !log.covers(from) ? log.startReason : null
}
