import type { Position, ServerMessage } from '@broadcaster/protocol'
import type { Deferred } from './deferred.ts'
import type { BroadcasterError } from './errors.ts'
import type { Listener } from './subscription.ts'
import type { SubscriptionStatus } from './types.ts'

/** What of a channel is on the wire of this connection; at most one request about it is on its way. */
export type Wire = 'off' | 'subscribing' | 'on' | 'unsubscribing' | 'waiting to retry'

/** What the client knows of one channel. */
export interface Channel {
  readonly name: string
  /** Replaced, never changed, so that a delivery in progress is not disturbed. */
  listeners: readonly Listener[]
  status: SubscriptionStatus
  error: BroadcasterError | null

  wire: Wire
  /** The server has it, or may have it: an answer can get lost. */
  mayBeOnServer: boolean
  /** It was asked to end it and has not said yet that it did: until then there is no beginning anew. */
  isLeaving: boolean
  /** What came before the server's answer, which it may overtake on long-poll. */
  held: ServerMessage[]
  failures: number
  /** For the answer, or for the next try. */
  timer?: ReturnType<typeof setTimeout> | undefined
  /** Runs while the channel stays subscribed though nobody listens. */
  grace?: ReturnType<typeof setTimeout> | undefined
  /** Callers of `unsubscribe()`. */
  waiting: Deferred[]

  /**
   * What comes begins where the client is. With long-poll that is not certain before a poll has told where that is: a
   * request may have arrived twice, or late. Until then everything is left aside, and the next poll brings it.
   */
  isInStep: boolean
  /** Of what was received last. */
  position?: Position | undefined
  /** Of what came last while it was not subscribed: for the next poll, which would be answered with it again. */
  reached?: Position | undefined
  /** It was confirmed once: whatever is missed from then on is a gap. */
  hasBeenOn: boolean
}

export function makeChannel(name: string): Channel {
  return {
    name,
    listeners: [],
    status: 'subscribing',
    error: null,
    wire: 'off',
    mayBeOnServer: false,
    isLeaving: false,
    isInStep: false,
    held: [],
    failures: 0,
    waiting: [],
    hasBeenOn: false,
  }
}

export function isWanted({ listeners, grace }: Channel): boolean {
  return listeners.length > 0 || grace !== undefined
}

export function resolveWaiting({ waiting }: Channel): void {
  for (const answer of waiting.splice(0)) answer.resolve()
}
