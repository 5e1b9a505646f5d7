import type { RefusalKind } from './clients/refusals.ts'

/** The result of `stats()`. */
export interface Stats {
  /** WebSocket connections and living long-poll sessions, of all nodes together. */
  connections: number
  /** The number of subscribers of each channel on this node: WebSocket connections and waiting polls. */
  localSubscriptions: Record<string, number>
  /** The values of this node alone. */
  node: {
    id: string
    /** Whether the node receives messages from the broker. */
    isListening: boolean
    webSockets: number
    waitingPolls: number
    /** WebSocket connections that read more slowly than messages arrive. */
    lagging: number
    /** Bytes that wait for WebSocket connections to read them, and bytes of their requests that wait for an answer. */
    queuedBytes: number
    /** Bytes of long-poll answers that wait for clients to read them. */
    unreadBytes: number
    /** Channels that the node holds, including those that it retains for clients that may come back. */
    channels: number
    /** With `recovery.copies`: channels that the node holds for other nodes. */
    copiedChannels: number
    /** With `recovery.copies`: channels with clients on this node that are not held by enough other nodes, or not yet. */
    uncopiedChannels: number
    logMessages: number
    logBytes: number
    /** Bytes of logs that are requested from other nodes, or sent to them, for clients that come back. */
    backfillBytes: number
    /** Messages since the start that were not delivered, because they exceed `limits.publishedBytes`. */
    oversizedMessages: number
    /** Long-poll answers and replays since the start that reached `limits.answerBytes`. */
    cutAnswers: number
    /** The number of refusals since the start, by kind. */
    refusals: Record<RefusalKind, number>
    /** Messages of other nodes that were ignored because they were not signed with `secret`. */
    refusedControlMessages: number
  }
}
