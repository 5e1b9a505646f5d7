import type { Channel } from '../channels/channel.ts'
import { uptimeMs } from '../time/uptime.ts'

export interface SweepOptions {
  /** How long a message is kept, in ms. */
  readonly windowMs: number
  /** Bytes of all logs together. */
  readonly maxTotalBytes: number
  /** How long a channel with a log is kept that nobody needs any more, in ms. */
  readonly retentionMs: number
}

/** A window may be without end, but not what is tried when memory is short. */
const LONGEST_AGE_MS = 86_400_000

/** Keeps the logs within their bounds of age and memory, and returns the channels that are to be let go. */
export function sweepChannels(
  channels: Iterable<Channel>,
  { windowMs, maxTotalBytes, retentionMs }: SweepOptions,
): Channel[] {
  const now = uptimeMs()
  const kept: Channel[] = []
  const gone: Channel[] = []
  let bytes = 0
  for (const channel of channels) {
    const { log } = channel
    log?.dropBefore(now - windowMs, 'expired')
    log?.trim()
    bytes += log?.bytes ?? 0
    const isOver = channel.isIdle && now - channel.idleSince >= (log === null ? 0 : retentionMs)
    ;(isOver ? gone : kept).push(channel)
  }
  for (let age = Math.min(windowMs, LONGEST_AGE_MS) / 2; bytes > maxTotalBytes && age >= 1; age /= 2) {
    bytes = 0
    for (const { log } of kept) {
      log?.dropBefore(now - age, 'overflow')
      bytes += log?.bytes ?? 0
    }
  }
  return gone
}
