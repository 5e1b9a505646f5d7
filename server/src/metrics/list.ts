import type { Counts } from './counts.ts'
import type { Reading } from './reading.ts'

export type Labels = Readonly<Record<string, string>>

export interface Sample {
  readonly value: number
  readonly labels: Labels
}

/** One metric, for every exporter. */
export interface Metric {
  /** For OpenTelemetry, after `broadcaster.`. For Prometheus, see {@link prometheusName}. */
  readonly name: string
  readonly type: 'counter' | 'gauge'
  /** What is counted: `bytes`, `seconds`, or a noun, which is not a part of the name. */
  readonly unit: string
  readonly help: string
  /** How the values of several processes make one, where it is not the sum. */
  readonly aggregator?: 'min'
  read(reading: Reading): readonly Sample[]
}

/** The name for Prometheus, without a prefix: `log.size` in bytes is `log_size_bytes`, a counter ends with `_total`. */
export function prometheusName({
  name,
  type,
  unit,
}: Pick<Metric, 'name' | 'unit'> & { type: string }): string {
  const words = name.replaceAll('.', '_')
  const withUnit = unit === 'bytes' || unit === 'seconds' ? `${words}_${unit}` : words
  return type === 'counter' ? `${withUnit}_total` : withUnit
}

/** All metrics but {@link DELIVERY_DURATION}. `docs/monitoring.md` has the same list, which a test compares with this one. */
export const METRICS_LIST: readonly Metric[] = [
  gauge('clients', 'clients', 'Clients: authenticated WebSockets, and waiting polls', (r) =>
    by('transport', r.clients),
  ),
  gauge('sessions', 'sessions', 'Long-poll sessions that use this node', (r) => one(r.sessions)),
  gauge('subscriptions', 'subscriptions', 'Channels of all clients of this node, by transport', (r) =>
    by('transport', r.subscriptions),
  ),
  gauge('channels', 'channels', 'Channels that the node holds', (r) => one(r.channels)),
  gauge('copied.channels', 'channels', 'Channels that the node holds for other nodes', (r) =>
    one(r.copiedChannels),
  ),
  gauge('uncopied.channels', 'channels', 'Channels with clients that too few other nodes hold', (r) =>
    one(r.uncopiedChannels),
  ),
  gauge('log.messages', 'messages', 'Messages in the logs of channels', (r) => one(r.logMessages)),
  gauge('log.size', 'bytes', 'Memory of the logs of channels', (r) => one(r.logBytes)),
  gauge('lagging.clients', 'clients', 'WebSockets that read more slowly than messages arrive', (r) =>
    one(r.lagging),
  ),
  gauge('queued', 'bytes', 'Bytes that wait for clients to read them', (r) => by('transport', r.queuedBytes)),
  gauge('backfill', 'bytes', 'Bytes of logs on their way between this node and other nodes', (r) =>
    one(r.backfillBytes),
  ),
  {
    ...gauge('redis.up', 'state', '1 while the node receives messages from Redis', (r) =>
      one(Number(r.isListening)),
    ),
    aggregator: 'min',
  },
  {
    ...gauge('healthy', 'state', '1 while /health answers 200', (r) => one(Number(r.isHealthy))),
    aggregator: 'min',
  },
  counter('connects', 'clients', 'Clients that were accepted', (c) => by('transport', c.connects)),
  counter('fallbacks', 'clients', 'Clients that came by long-poll because a WebSocket had failed', (c) =>
    Object.entries(c.fallbacks).map(([key, value]) => {
      const [reason = '', code = ''] = key.split(' ')
      return { value, labels: { reason, code } }
    }),
  ),
  {
    ...gauge('refusals', 'refusals', 'Requests and connections that were refused', (r) =>
      by('reason', r.refusals),
    ),
    type: 'counter',
  },
  counter('limits.reached', 'times', 'How often a limit was reached', (c) => by('limit', c.limits)),
  counter('messages.received', 'messages', 'Messages from Redis on channels that the node holds', (c) =>
    one(c.received),
  ),
  counter('received', 'bytes', 'Bytes of the bodies of these messages', (c) => one(c.receivedBytes)),
  counter('deliveries', 'messages', 'Messages that were sent, one for each client', (c) =>
    by('transport', c.deliveries),
  ),
  counter('sent', 'bytes', 'Bytes of frames and answers that were sent', (c) => by('transport', c.sentBytes)),
  counter('recoveries', 'subscriptions', 'Subscriptions that continued from a position', (c) =>
    by('outcome', c.recoveries),
  ),
  counter('gaps', 'gaps', 'Gaps in channels that were subscribed, one for each client', (c) =>
    by('reason', c.gaps),
  ),
  counter('beacons', 'beacons', 'Beacons, from which nodes count messages', (c) =>
    by('direction', c.beacons),
  ),
  counter('control.messages', 'messages', 'Messages between nodes', (c) =>
    by('direction', c.controlMessages),
  ),
  counter('control.size', 'bytes', 'Bytes of messages between nodes', (c) => by('direction', c.controlBytes)),
  {
    ...gauge('refused.control.messages', 'messages', 'Messages without a valid signature', (r) =>
      one(r.refusedControlMessages),
    ),
    type: 'counter',
  },
  counter('redis.outages', 'outages', 'How often the node ceased to receive messages from Redis', (c) =>
    one(c.outages.count),
  ),
  counter('redis.down', 'seconds', 'Time without messages from Redis, in outages that are over', (c) =>
    one(c.outages.ms / 1000),
  ),
]

/** The histogram. It measures only while it is exported. */
export const DELIVERY_DURATION = {
  name: 'delivery.duration',
  type: 'histogram',
  unit: 'seconds',
  help: 'From the arrival of a message until it is written to the last WebSocket',
} as const

function gauge(name: string, unit: string, help: string, read: Metric['read']): Metric {
  return { name, type: 'gauge', unit, help, read }
}

function counter(
  name: string,
  unit: string,
  help: string,
  read: (counts: Counts) => readonly Sample[],
): Metric {
  return { name, type: 'counter', unit, help, read: ({ counts }) => read(counts) }
}

function one(value: number): Sample[] {
  return [{ value, labels: {} }]
}

function by(label: string, values: Readonly<Record<string, number>>): Sample[] {
  return Object.entries(values).map(([name, value]) => ({ value, labels: { [label]: name } }))
}
