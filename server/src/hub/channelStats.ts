import type { Channel } from '../channels/channel.ts'

export interface ChannelStats {
  /** The number of subscribers of each channel: WebSocket connections and waiting polls. */
  readonly localSubscriptions: Record<string, number>
  readonly channels: number
  readonly logMessages: number
  readonly logBytes: number
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
