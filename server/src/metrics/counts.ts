import type { GapReason } from '@broadcaster/protocol'
import { FALLBACKS } from './fallbacks.ts'
import { defaultLimits, type Limits } from '../limits.ts'

export type TransportName = 'websocket' | 'longpoll'
export type LimitName = keyof Limits

const TRANSPORTS = ['websocket', 'longpoll'] as const
const GAPS: readonly GapReason[] = ['expired', 'overflow', 'broker', 'node']

/**
 * What one node has counted since its start. They are plain numbers, because they are also counted where a message is
 * delivered. Metrics read them when they are scraped.
 */
export class Counts {
  /** Clients that were accepted: connections that authenticated, and sessions that were created. */
  readonly connects = zeros(TRANSPORTS)
  /** Clients that came by long-poll because a WebSocket had failed, by reason and close code. */
  readonly fallbacks = zeros(FALLBACKS)
  /** How often each limit was reached. */
  readonly limits = zeros(Object.keys(defaultLimits) as LimitName[])
  /** Messages from the broker on channels that this node holds, and the bytes of their bodies. */
  received = 0
  receivedBytes = 0
  /** Messages that were sent to clients, one for each client. */
  readonly deliveries = zeros(TRANSPORTS)
  /** Bytes that were written to clients: frames, and bodies of answers. */
  readonly sentBytes = zeros(TRANSPORTS)
  /** Clients that came back to a channel with a position: their outcome, by the reason of the gap. */
  readonly recoveries = zeros(['recovered', ...GAPS] as const)
  /** Gaps that clients were told of, or for which clients of the original were ended. */
  readonly gaps = zeros(GAPS)
  readonly beacons = zeros(['sent', 'received'])
  /** Messages between nodes, and their bytes. */
  readonly controlMessages = zeros(['sent', 'received'])
  readonly controlBytes = zeros(['sent', 'received'])
  readonly outages = { count: 0, ms: 0 }
}

function zeros<Name extends string>(names: readonly Name[]): Record<Name, number> {
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>
}
