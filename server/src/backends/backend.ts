import type { SessionStore } from './sessions.ts'

/** What a backend tells the hub. */
export interface BackendReceiver {
  /** A message of a subscribed channel, in the broker's order. Never called from within another call. */
  message(channel: string, body: string): void
  /** Listening, on a connection on which nothing is subscribed yet. */
  up(): void
  /** Not listening any more: messages may be missed until `up` and the next subscribe. */
  down(error: Error): void
}

/** A beacon that was made, and what the broker's clock said. */
export interface Beacon {
  readonly n: number
  readonly nowMs: number
}

/**
 * Where messages come from. All subscriptions of a backend see one order, and a `subscribe` that has resolved sees
 * everything published after that.
 */
export interface Backend {
  /**
   * Whether all nodes see the same order, so that beacons number messages alike everywhere. Where they don't
   * (Redis Cluster), positions mean something on their own node only.
   */
  readonly isOrdered: boolean
  readonly sessions: SessionStore
  /** Whether requests can be served right now: every connection is there. */
  readonly isConnected: boolean
  /** What the broker can't do for now although it is there, in a word for whoever watches; `null` if all is well. */
  readonly trouble: string | null

  /**
   * Connects, and goes on trying for as long as the broker is away: resolves when everything is connected. Rejects only
   * where trying again can't help.
   *
   * @throws {BroadcasterError} `brokerRefused`
   */
  start(receiver: BackendReceiver): Promise<void>

  /**
   * Resolves with the channels that the broker refuses, when it has confirmed all others; rejects if the connection breaks
   * before.
   *
   * @throws {BroadcasterError} `brokerUnavailable`, or `brokerRefused` where the broker can't for now
   */
  subscribe(channels: readonly string[]): Promise<readonly string[]>
  unsubscribe(channels: readonly string[]): Promise<void>

  /**
   * Resolves with the number of nodes that were listening.
   *
   * @throws {BroadcasterError} `brokerUnavailable`, or `brokerRefused` where the broker says no
   */
  publish(channel: string, body: string | Buffer): Promise<number>

  /**
   * Makes the next beacon number (see `makeBeacon`), of this run of the broker, greater than `floor` and than every number
   * before, publishes it on the control channel in the same step (see `control.ts`), and resolves with it. A `floor` that can't be
   * right is not believed: then the number is below it.
   *
   * @throws {BroadcasterError} `brokerUnavailable`, or `brokerRefused` where the broker says no
   */
  beacon(floor: number): Promise<Beacon>

  /** Notes how many connections this node has, for {@link connections} of every node, until `ttlMs` from now. */
  report(node: string, connections: number, ttlMs: number): Promise<void>
  /** The sum of what nodes other than `node` have reported. */
  connections(node: string): Promise<number>
  /** Takes this node off the list. */
  leave(node: string): Promise<void>

  /** Keeps a revocation for nodes that are not listening, for {@link KEPT_REVOCATIONS}. */
  keepRevocation(text: string): Promise<void>
  /** The revocations of the last `ms` that are kept, oldest first. */
  keptRevocations(ms: number): Promise<readonly string[]>

  close(): Promise<void>
}

/** How long revocations are kept, and how many at most. */
export const KEPT_REVOCATIONS = { ms: 600_000, count: 10_000 }
