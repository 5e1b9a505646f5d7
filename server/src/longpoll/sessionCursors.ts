import { reasons, type Poll, type ServerMessage } from '@broadcaster/protocol'
import { comparePositions, formatPosition, parsePosition, type Position } from '../channels/position.ts'
import type { Session } from '../backends/sessions.ts'

/** The position from which each channel of the session is read; `null` if the position can not be parsed. */
export function startingCursors(session: Session, message: Poll): Map<string, Position | null> {
  const cursors = new Map<string, Position | null>()
  const told = session.version > 0 ? message.positions : undefined
  // A poll with another `seq` confirms that the last answer has arrived.
  const arrived =
    session.answer !== null && session.answer.seq !== message.seq ? session.answer.positions : {}
  for (const [channel, stored] of session.channels) {
    if (told !== undefined && Object.hasOwn(told, channel)) {
      cursors.set(channel, parsePosition(told[channel]!))
      continue
    }
    const begun = parsePosition(stored)
    const reached = Object.hasOwn(arrived, channel) ? parsePosition(arrived[channel]!) : null
    // The channel may have been unsubscribed and subscribed again since that answer, so the later position counts.
    cursors.set(channel, begun && reached && comparePositions(reached, begun) > 0 ? reached : begun)
  }
  return cursors
}

/** The messages for channels of which the client sends a position, and which the session no longer has. */
export function revokedChannels(session: Session, { positions }: Poll): ServerMessage[] {
  if (session.version === 0 || positions === undefined) return []
  return Object.keys(positions)
    .filter((channel) => !session.channels.has(channel))
    .map((channel) => ({ __type: 'unsubscribed', channel, reason: reasons.unsubscribedByServer }))
}

export function formatCursor(cursor: Position | null): string {
  return cursor === null ? '' : formatPosition(cursor)
}

/** The node from the id of a poll. */
export function nodeOf(poller: string | null): string | null {
  return poller === null ? null : poller.slice(0, poller.indexOf('/'))
}
