import type { Channel } from '../channels/channel.ts'
import { uptimeMs } from '../time/uptime.ts'

export interface SweepOptions {
  /** How long a message is kept, in ms. */
  readonly windowMs: number
  /** The maximum number of bytes of all logs together. */
  readonly maxTotalBytes: number
  /** How long an idle channel with a log is retained, in ms. */
  readonly retentionMs: number
}

/** The window may be infinite. If memory is short, shorter ages are tried, beginning with half of this one. */
const LONGEST_AGE_MS = 86_400_000

/** Applies the limits of age and memory to the logs. Returns the channels that are no longer needed. */
export function sweepChannels(
  channels: Iterable<Channel>,
  { windowMs, maxTotalBytes, retentionMs }: SweepOptions,
): Channel[] {
  const now = uptimeMs()
  const kept: Channel[] = []
  const gone: Channel[] = []
  let bytes = 0
  for (const channel of channels) {
    const { log, before } = channel
    log?.dropBefore(now - windowMs, 'expired')
    before?.dropBefore(now - windowMs, 'expired')
    log?.trim()
    bytes += channel.logBytes
    const isOver = channel.isIdle && now - channel.idleSince >= (log === null ? 0 : retentionMs)
    ;(isOver ? gone : kept).push(channel)
  }
  for (let age = Math.min(windowMs, LONGEST_AGE_MS) / 2; bytes > maxTotalBytes && age >= 1; age /= 2) {
    bytes = 0
    for (const channel of kept) {
      channel.log?.dropBefore(now - age, 'overflow')
      channel.before?.dropBefore(now - age, 'overflow')
      bytes += channel.logBytes
    }
  }
  return gone
}
