import type { Channel } from '../channels/channel.ts'
import type { TransportName } from '../metrics/counts.ts'

export interface ChannelStats {
  /** The number of subscribers of each channel: WebSocket connections and waiting polls. */
  readonly localSubscriptions: Record<string, number>
  readonly channels: number
  readonly logMessages: number
  readonly logBytes: number
}

/** The sums over all channels. */
export interface ChannelTotals {
  readonly subscriptions: Readonly<Record<TransportName, number>>
  readonly channels: number
  readonly logMessages: number
  readonly logBytes: number
}

export function channelTotals(channels: Iterable<Channel>): ChannelTotals {
  const subscriptions = { websocket: 0, longpoll: 0 }
  const sum = { channels: 0, logMessages: 0, logBytes: 0 }
  for (const { logMessages, logBytes, subscribers, logReaders } of channels) {
    subscriptions.websocket += subscribers.size
    subscriptions.longpoll += logReaders.size
    sum.channels += 1
    sum.logMessages += logMessages
    sum.logBytes += logBytes
  }
  return { subscriptions, ...sum }
}

export function channelStats(channels: Iterable<Channel>): ChannelStats {
  // The object has no prototype, so that `__proto__` is an ordinary key.
  const localSubscriptions = Object.create(null) as Record<string, number>
  const sum = { channels: 0, logMessages: 0, logBytes: 0 }
  for (const { name, logMessages, logBytes, subscribers, logReaders } of channels) {
    const count = subscribers.size + logReaders.size
    if (count > 0) localSubscriptions[name] = count
    sum.channels += 1
    sum.logMessages += logMessages
    sum.logBytes += logBytes
  }
  return { localSubscriptions, ...sum }
}
