import type { Channel } from '../channels/channel.ts'

export interface ChannelStats {
  /** How many listen to each channel: WebSocket connections and waiting polls. */
  readonly localSubscriptions: Record<string, number>
  readonly channels: number
  readonly logMessages: number
  readonly logBytes: number
}

export function channelStats(channels: Iterable<Channel>): ChannelStats {
  // Without a prototype, so that `__proto__` is a name like any other.
  const localSubscriptions = Object.create(null) as Record<string, number>
  const sum = { channels: 0, logMessages: 0, logBytes: 0 }
  for (const { name, logMessages, logBytes, subscribers, waiters } of channels) {
    const count = subscribers.size + waiters.size
    if (count > 0) localSubscriptions[name] = count
    sum.channels += 1
    sum.logMessages += logMessages
    sum.logBytes += logBytes
  }
  return { localSubscriptions, ...sum }
}
