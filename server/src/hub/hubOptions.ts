import type { Backend } from '../backends/backend.ts'
import type { Compression } from '../channels/frames.ts'
import type { NodeControl } from '../cluster/nodeControl.ts'
import type { LogLimits } from '../channels/log.ts'
import type { Counts } from '../metrics/counts.ts'
import type { Latency } from '../metrics/latency.ts'
import type { EventLogger } from '../logger.ts'

export interface HubOptions {
  readonly backend: Backend
  /**
   * Called when the node receives control messages, after it may have missed some for `downMs`. `null`: since it was started.
   */
  readonly onListening: (downMs: number | null) => void
  readonly logger: EventLogger
  readonly counts: Counts
  readonly latency: Latency
  readonly control: NodeControl
  /** Whether every channel has a log. Otherwise only channels that long-poll reads from have one. */
  readonly recovery: boolean
  /** The number of nodes that hold each channel with listeners. 1: other nodes are not asked to hold channels. */
  readonly copies: number
  /** The maximum size of a body that is delivered, in bytes. */
  readonly maxPublishedBytes: number
  readonly log: LogLimits & { readonly windowMs: number; readonly maxTotalBytes: number }
  /** How messages are compressed for clients that accept it; `null` disables compression. */
  readonly compression: Compression | null
  /** The maximum number of bytes of logs that are in flight between this node and other nodes. */
  readonly backfillBytes: number
  /** How long a channel without subscribers is retained for clients that come back. */
  readonly retentionMs: number
  /** The maximum number of channels of this node. */
  readonly maxChannels: number
}
