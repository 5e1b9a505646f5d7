import type { GapReason } from '@broadcaster/protocol'
import { hasLog, type Channel, type LoggedChannel } from '../channels/channel.ts'
import type { Entry } from '../channels/log.ts'
import { positionOf, type Position } from '../channels/position.ts'
import type { Hub } from '../hub/hub.ts'
import type { Link } from './link.ts'
import { uptimeMs } from '../time/uptime.ts'

/** The connection that a backlog is sent to. */
export interface BacklogReader {
  readonly isClosed: boolean
  /** Sends one message. Returns whether there is room for more. */
  send(channel: Channel, entry: Entry): boolean
  gap(channel: Channel, position: Position, reason: GapReason): void
}

/**
 * What a slow reader has not been sent yet. There is no queue of messages: for each channel it holds the position up to which
 * the client was sent everything, and the rest is read from the channel's log when the client has room for it.
 */
export class Backlog {
  readonly #hub: Hub
  readonly #reader: BacklogReader
  readonly #positions = new Map<LoggedChannel, Position>()
  /** What had left for the client when it was last seen to read, in bytes; and when that was. */
  #sentBytes = -1
  #readAt = 0

  constructor(hub: Hub, reader: BacklogReader) {
    this.#hub = hub
    this.#reader = reader
  }

  /** Up to where the client was sent the channel; `null` if the channel is not in here. */
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
   * Sends what there is, up to the limit of the client's buffer. `done`: the client has everything. `full`: go on when the
   * buffer is empty. `waiting`: go on when a channel is live again, which the hub tells.
   */
  send(): 'done' | 'full' | 'waiting' {
    let result: 'done' | 'waiting' = 'done'
    for (const [channel, position] of this.#positions) {
      if (channel.state !== 'live') result = 'waiting'
      else if (!this.#sendChannel(channel, position)) return 'full'
    }
    return result
  }

  /** Whether there is something for the client to read, and it has read none of it for so long. */
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
      // To the end of the line: a channel that is always busy must not keep the others from their turn.
      this.#positions.delete(channel)
      this.#positions.set(channel, positionOf(entry))
      return false
    }
    // This flushes the fan-out, which must not send again what was read from the log here.
    this.#positions.set(channel, this.#hub.headOf(channel))
    return true
  }
}
