import type { SessionStore } from './sessions.ts'

/** The events that a backend reports to the hub. */
export interface BackendReceiver {
  /**
   * A message of a subscribed channel. The calls follow the broker's order. It is never called synchronously from
   * within another call.
   */
  message(channel: string, body: string): void
  /** The backend receives messages again, on a new connection that has no subscriptions yet. */
  up(): void
  /** The backend no longer receives messages. Messages may be missed until `up` and the next `subscribe`. */
  down(error: Error): void
}

/** A new beacon. */
export interface Beacon {
  readonly n: number
  /** The time of the broker's clock when it was made. */
  readonly nowMs: number
  /** How many subscribers of the control channel received it: every node, and possibly other programs. */
  readonly receivers: number
}

/**
 * The message broker, as the hub sees it. All subscriptions of a backend receive messages in the same order. A
 * `subscribe` that has resolved receives every message that is published after that.
 */
export interface Backend {
  readonly sessions: SessionStore
  /** Whether requests can be served now: every connection is established. */
  readonly isConnected: boolean
  /**
   * The reason why a connected broker cannot do everything that is needed, as a short text for monitoring; `null` if
   * there is none.
   */
  readonly trouble: string | null

  /**
   * Connects, and retries for as long as the broker is unavailable. Resolves when every connection is established.
   * Rejects only if a retry cannot help.
   *
   * @throws {BroadcasterError} `brokerRefused`
   */
  start(receiver: BackendReceiver): Promise<void>

  /**
   * Resolves with the channels that the broker refuses, as soon as it has confirmed all others. Rejects if the
   * connection breaks before that.
   *
   * @throws {BroadcasterError} `brokerUnavailable`, or `brokerRefused` if the broker currently cannot serve the command
   */
  subscribe(channels: readonly string[]): Promise<readonly string[]>
  unsubscribe(channels: readonly string[]): Promise<void>

  /**
   * Resolves with the number of nodes that received the message.
   *
   * @throws {BroadcasterError} `brokerUnavailable`, or `brokerRefused` if the broker refuses the command
   */
  publish(channel: string, body: string | Buffer): Promise<number>

  /**
   * Resolves with the number of nodes that are subscribed to each channel. Pattern subscriptions, for example of a
   * monitoring tool, are not counted.
   *
   * @throws {BroadcasterError} `brokerUnavailable`, or `brokerRefused` if the broker refuses the command
   */
  countHolders(channels: readonly string[]): Promise<readonly number[]>

  /**
   * Makes the next beacon number (see `makeBeacon`) and publishes it on the control channel in the same atomic step
   * (see `control.ts`). The number contains the current run of the broker. It is greater than `floor` and than every
   * earlier number. A `floor` that is implausible is ignored; the number is then less than `floor`. Resolves with the
   * beacon.
   *
   * @throws {BroadcasterError} `brokerUnavailable`, or `brokerRefused` if the broker refuses the command
   */
  beacon(floor: number): Promise<Beacon>

  /**
   * Whether messages are counted from this beacon, which was received. A beacon of another run than that of the current
   * connection does not count: on a Redis Cluster, it may come from a server whose order this node does not receive.
   */
  counts(beacon: number): boolean

  /**
   * Stores the number of connections of this node for `ttlMs`, so that {@link connections} of every node can count
   * them.
   */
  report(node: string, connections: number, ttlMs: number): Promise<void>
  /**
   * The sum of the connections that all nodes except `node` have reported.
   *
   * @throws {BroadcasterError} `brokerUnavailable`, or `brokerRefused` if the broker refuses to read
   */
  connections(node: string): Promise<number>
  /** Removes this node from the list of nodes. */
  leave(node: string): Promise<void>

  /** Stores a revocation for {@link KEPT_REVOCATIONS}, for nodes that currently receive no messages. */
  keepRevocation(text: string): Promise<void>
  /** The stored revocations of the last `ms`, oldest first. */
  keptRevocations(ms: number): Promise<readonly string[]>

  close(): Promise<void>
}

/** How long revocations are stored, and the maximum number of them. */
export const KEPT_REVOCATIONS = { ms: 600_000, count: 10_000 }
