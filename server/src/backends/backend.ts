import type { ControlCodec } from '../control/codec.ts'
import type { SessionStore } from './sessions.ts'

/** The events that a broker reports to its order. */
export interface BrokerReceiver {
  /**
   * A message of a subscribed channel. The calls follow the broker's order. It is never called synchronously from
   * within another call.
   */
  message(channel: string, body: string): void
  /** The node receives messages of the broker again, on a new connection that has no subscriptions yet. */
  up(): void
  /** The node no longer receives messages of the broker. Messages may be missed until `up` and the next `subscribe`. */
  down(error: Error): void
  /**
   * The broker has ended the node's subscriptions to these channels, or refuses them, because they belong to another
   * broker. From this moment on, all nodes receive no messages of them here.
   */
  moved(channels: readonly string[]): void
}

/** The events that a backend reports to the hub. */
export interface BackendReceiver {
  /** There is one more broker. Returns the receiver of its events. */
  opened(broker: Broker): BrokerReceiver
  /** The broker is not used any more. */
  closed(broker: Broker): void
  /**
   * Channels may belong to other brokers than before (see {@link Backend.brokerOf}). Returns whether the broker of every
   * channel of the node is known.
   */
  rearranged(): boolean
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
 * One server for pub/sub: a Redis process, or the memory of this process. All its subscribers receive messages in the
 * same order. A `subscribe` that has resolved receives every message that is published after that.
 */
export interface Broker {
  /**
   * A hash tag for the names of the control channels, so that they belong to this broker; empty if there is only one
   * broker.
   */
  readonly tag: string
  /** Encodes and decodes the control messages of this broker. */
  readonly codec: ControlCodec
  /** Whether its connections are established. */
  readonly isConnected: boolean
  /**
   * The reason why the connected server cannot do everything that is needed, as a short text for monitoring; `null` if
   * there is none.
   */
  readonly trouble: string | null

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
   * earlier number. A `floor` that is implausible is ignored; the number is then less than `floor`. If `isOver`, the run of
   * `floor` ends, and the number is of a new run. Resolves with the beacon.
   *
   * @throws {BroadcasterError} `brokerUnavailable`, or `brokerRefused` if the broker refuses the command
   */
  beacon(floor: number, isOver: boolean): Promise<Beacon>

  /**
   * Whether messages are counted from this beacon, which was received. A beacon of another run than that of the current
   * connection does not count: on a Redis Cluster, it may come from a server whose order this node does not receive.
   */
  counts(beacon: number): boolean
}

/** The service that connects all nodes, as the hub sees it: its brokers, and the state that nodes share. */
export interface Backend {
  readonly sessions: SessionStore
  /** Whether the state that nodes share can be read and written: every connection for it is established. */
  readonly isConnected: boolean
  /** Whether a connection has ended and will not be made again in this process. */
  readonly hasEnded: boolean
  /** The same as {@link Broker.trouble}, for the connections that belong to no broker. */
  readonly trouble: string | null

  /**
   * Connects, and retries for as long as the service is unavailable. Resolves when every connection is established.
   * Rejects only if a retry cannot help.
   *
   * @throws {BroadcasterError} `brokerRefused`
   */
  start(receiver: BackendReceiver): Promise<void>

  /** The broker that orders the messages of the channel; `null` if it is not known. */
  brokerOf(channel: string): Broker | null

  /**
   * Publishes a message of the application.
   *
   * @throws {BroadcasterError} `brokerUnavailable`, or `brokerRefused` if the broker refuses the command
   */
  publish(channel: string, body: string | Buffer): Promise<unknown>

  /**
   * Stores the number of connections of this node for `ttlMs`, so that {@link connections} of every node can count
   * them.
   */
  report(node: string, connections: number, ttlMs: number): Promise<void>
  /**
   * The sum of the connections that all nodes except `node` have reported.
   *
   * @throws {BroadcasterError} `brokerUnavailable`, or `brokerRefused` if reading is refused
   */
  connections(node: string): Promise<number>
  /** Removes this node from the list of nodes. */
  leave(node: string): Promise<void>

  /**
   * Announces for `ttlMs` that this node holds copies for other nodes; 0 ends the announcement. Resolves with the ids of
   * all nodes that have announced it.
   *
   * @throws {BroadcasterError} `brokerUnavailable`, or `brokerRefused` if the broker refuses the command
   */
  meet(node: string, ttlMs: number): Promise<readonly string[]>

  /** Stores a revocation for {@link KEPT_REVOCATIONS}, for nodes that currently receive no messages. */
  keepRevocation(text: string): Promise<void>
  /** The stored revocations of the last `ms`, oldest first. */
  keptRevocations(ms: number): Promise<readonly string[]>

  close(): Promise<void>
}

/** How long revocations are stored, and the maximum number of them. */
export const KEPT_REVOCATIONS = { ms: 600_000, count: 10_000 }
