import type { Position, ServerMessage } from '@broadcaster/protocol'
import type { Deferred } from './deferred.ts'
import type { BroadcasterError } from './errors.ts'
import type { Listener } from './subscription.ts'
import type { SubscriptionStatus } from './types.ts'

/** What of a channel is on the wire of this connection; at most one request about it is on its way. */
export type Wire = 'off' | 'subscribing' | 'on' | 'unsubscribing' | 'waiting to retry'

/** What the client knows of one channel. */
export class Channel {
  readonly name: string
  /** Replaced, never changed, so that a delivery in progress is not disturbed. */
  listeners: readonly Listener[] = []
  status: SubscriptionStatus = 'subscribing'
  error: BroadcasterError | null = null

  wire: Wire = 'off'
  /** The server has it, or may have it: an answer can get lost. */
  mayBeOnServer = false
  /** What came before the server's answer: on long-poll it may overtake that, and the replay in it. */
  held: ServerMessage[] = []
  failures = 0
  /** For the answer, or for the next try. */
  timer: ReturnType<typeof setTimeout> | undefined
  /** Runs while the channel stays subscribed though nobody listens. */
  grace: ReturnType<typeof setTimeout> | undefined
  /** Callers of `unsubscribe()`. */
  waiting: Deferred[] = []

  /**
   * What was replayed by the second answer, after the first one may have got lost: on long-poll, a poll that began
   * between the two brings it again.
   */
  seen: ReadonlySet<Position> | null = null
  /** Of what was received last. */
  position: Position | undefined
  /** It was confirmed once: whatever is missed from then on is a gap. */
  hasBeenOn = false

  constructor(name: string) {
    this.name = name
  }

  get isWanted(): boolean {
    return this.listeners.length > 0 || this.grace !== undefined
  }

  resolveWaiting(): void {
    for (const answer of this.waiting.splice(0)) answer.resolve()
  }
}
