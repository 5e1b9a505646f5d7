import { comparePositions, formatPosition, isSameRun, type Position } from '../channels/position.ts'

/** What another node has of a channel. */
export interface Whereabouts {
  readonly node: string
  /** Its log has every message after this position. */
  readonly start: Position
  /** No message was published after this position, up to the position of the inquiry. */
  readonly last: Position
  /** Whether the node itself does not know yet what other nodes know about this channel. */
  readonly isAsking: boolean
}

/** A question about one channel. */
export interface Inquiry {
  readonly channel: string
  /**
   * A position that this node has received. Every node that answers has received it too, because the question is
   * published after it.
   */
  readonly position: Position
  /** Called directly before other nodes are asked. Returns whether the inquiry is not needed, because there are none. */
  isNeedless?(): boolean
  /**
   * The id of the node to ask first. If that node does not know enough, all nodes are asked. `any`: one node at random, and
   * no other. `all`: all nodes at once.
   */
  readonly first: string | 'any' | 'all'
  /** Called for each node that knows the channel. Returns whether no other node needs to be asked. */
  found(whereabouts: Whereabouts): boolean
  /** Called once, when no further answer can come. `isFinal`: all nodes that hold the channel have been asked. */
  done(isFinal: boolean): void
}

/** A channel that is asked about, for all inquiries with the same position. */
export interface Subject {
  readonly channel: string
  readonly position: Position
  readonly inquiries: Inquiry[]
  /** The node that is asked first, if an inquiry names it. */
  named: string | null
  /** Whether all nodes may be asked. */
  isForAll: boolean
  /** The number of other nodes that hold the channel, from the last answer of Redis. */
  others: number
  hasAskedOne: boolean
  /** The nodes that hold the channel and have answered. */
  readonly answered: Set<string>
  /** How many times Redis was unavailable for the question. */
  failures: number
  isOpen: boolean
}

/** Inquiries about the same position are one subject. `ownNode` is never asked. */
export function subjectsOf(inquiries: readonly Inquiry[], ownNode: string): Subject[] {
  const subjects = new Map<string, Subject>()
  for (const inquiry of inquiries) {
    const { channel, position, first } = inquiry
    const key = `${formatPosition(position)} ${channel}`
    const subject = subjects.get(key) ?? newSubject(channel, position)
    subjects.set(key, subject)
    subject.inquiries.push(inquiry)
    if (first !== 'any') subject.isForAll = true
    if (first !== 'any' && first !== 'all' && first !== ownNode) subject.named ??= first
  }
  return [...subjects.values()]
}

function newSubject(channel: string, position: Position): Subject {
  return {
    channel,
    position,
    inquiries: [],
    named: null,
    isForAll: false,
    others: 0,
    hasAskedOne: false,
    answered: new Set(),
    failures: 0,
    isOpen: true,
  }
}

/** Another node knows the channel. */
export function found(subject: Subject, whereabouts: Whereabouts): void {
  const { position, inquiries } = subject
  const { start, last } = whereabouts
  const isSensible = isSameRun(last.beacon, position.beacon) && isSameRun(start.beacon, last.beacon)
  if (!isSensible || comparePositions(last, position) > 0) return
  const isEnough = inquiries.map((inquiry) => inquiry.found(whereabouts)).every(Boolean)
  if (isEnough) end(subject, false)
}

export function end(subject: Subject, isFinal: boolean): void {
  if (!subject.isOpen) return
  subject.isOpen = false
  for (const inquiry of subject.inquiries) inquiry.done(isFinal)
}
