import type { GapReason } from '@broadcaster/protocol'
import { hasLog, type Channel, type LoggedChannel } from '../channels/channel.ts'
import type { Entry } from '../channels/log.ts'
import { positionOf, type Position } from '../channels/position.ts'
import type { Hub } from '../hub/hub.ts'
import type { Link } from './link.ts'
import { uptimeMs } from '../time/uptime.ts'

/** The connection to which a backlog is sent. */
export interface BacklogReader {
  readonly isClosed: boolean
  /** Sends one message. Returns whether there is room for more. */
  send(channel: Channel, entry: Entry): boolean
  gap(channel: Channel, position: Position, reason: GapReason): void
}

/**
 * The messages that a slow reader has not been sent yet. There is no queue of messages. For each channel, the backlog stores the
 * position up to which the client was sent all messages. The rest is read from the channel's log when the buffer has room.
 */
export class Backlog {
  readonly #hub: Hub
  readonly #reader: BacklogReader
  readonly #positions = new Map<LoggedChannel, Position>()
  /** The value of `sentBytes` when the client was last known to read, and the time of that. */
  #sentBytes = -1
  #readAt = 0

  constructor(hub: Hub, reader: BacklogReader) {
    this.#hub = hub
    this.#reader = reader
  }

  /** The position up to which the client was sent the channel; `null` if the channel is not in the backlog. */
  positionIn(channel: Channel): Position | null {
    return (hasLog(channel) && this.#positions.get(channel)) || null
  }

  add(channel: LoggedChannel, position: Position): void {
    this.#positions.set(channel, position)
  }

  remove(channel: Channel): void {
    if (hasLog(channel)) this.#positions.delete(channel)
  }

  /**
   * Sends messages, up to the limit of the client's buffer. `done`: all messages are sent. `full`: continue when the buffer is
   * empty. `waiting`: continue when a channel is live again, which the hub reports.
   */
  send(): 'done' | 'full' | 'waiting' {
    let result: 'done' | 'waiting' = 'done'
    for (const [channel, position] of this.#positions) {
      if (channel.state !== 'live') result = 'waiting'
      else if (!this.#sendChannel(channel, position)) return 'full'
    }
    return result
  }

  /** Whether data waits for the client, and it has not read any of it for this time. */
  isStuck(link: Link, ms: number): boolean {
    const now = uptimeMs()
    if (link.bufferedBytes > 0 && link.sentBytes === this.#sentBytes) return now - this.#readAt >= ms
    this.#sentBytes = link.sentBytes
    this.#readAt = now
    return false
  }

  /** Returns false if the buffer is full, or the connection closed, before the end of the log. */
  #sendChannel(channel: LoggedChannel, position: Position): boolean {
    const { log } = channel
    const isGap = !log.covers(position)
    if (isGap) this.#reader.gap(channel, log.start, log.startReason)
    if (this.#reader.isClosed) return false
    for (const entry of log.after(isGap ? log.start : position)) {
      if (this.#reader.send(channel, entry)) continue
      // The channel moves to the end of the order, so that a busy channel does not block the others.
      this.#positions.delete(channel)
      this.#positions.set(channel, positionOf(entry))
      return false
    }
    // `headOf` flushes the fan-out while the client still lags, so the fan-out does not send these messages again.
    this.#positions.set(channel, this.#hub.headOf(channel))
    return true
  }
}
