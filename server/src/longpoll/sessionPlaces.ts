import { reasons, type Poll, type ServerMessage } from '@broadcaster/protocol'
import { comparePositions, formatPosition, parsePosition, type Position } from '../channels/position.ts'
import type { Session } from '../backends/sessions.ts'

/** From where each channel of the session is to be read. `null`: a position that can't be read. */
export function startingPlaces(session: Session, message: Poll): Map<string, Position | null> {
  const places = new Map<string, Position | null>()
  const told = session.version > 0 ? message.positions : undefined
  // Another `seq` than the last answer's says that it has arrived.
  const arrived =
    session.answer !== null && session.answer.seq !== message.seq ? session.answer.positions : {}
  for (const [channel, stored] of session.channels) {
    if (told !== undefined && Object.hasOwn(told, channel)) {
      places.set(channel, parsePosition(told[channel]!))
      continue
    }
    const begun = parsePosition(stored)
    const reached = Object.hasOwn(arrived, channel) ? parsePosition(arrived[channel]!) : null
    // It may have been unsubscribed and subscribed again since that answer.
    places.set(channel, begun && reached && comparePositions(reached, begun) > 0 ? reached : begun)
  }
  return places
}

/** Channels that the client thinks it has, and that were taken from it. */
export function revokedChannels(session: Session, { positions }: Poll): ServerMessage[] {
  if (session.version === 0 || positions === undefined) return []
  return Object.keys(positions)
    .filter((channel) => !session.channels.has(channel))
    .map((channel) => ({ __type: 'unsubscribed', channel, reason: reasons.unsubscribedByServer }))
}

export function asText(place: Position | null): string {
  return place === null ? '' : formatPosition(place)
}

/** The node of a poll's id. */
export function nodeOf(poller: string | null): string | null {
  return poller === null ? null : poller.slice(0, poller.indexOf('/'))
}
