import type { GapReason } from '@broadcaster/protocol'
import type { Channel, LoggedChannel } from '../channels/channel.ts'
import type { ChannelTable } from './channelTable.ts'
import { ChannelRefused, unconfirmed } from '../errors.ts'
import type { Entry, LogLimits } from '../channels/log.ts'
import { comparePositions, isSameRun, type Position } from '../channels/position.ts'
import type { Orders } from '../cluster/orders.ts'
import type { Seeker } from '../cluster/recovery.ts'
import { ReplayTurns } from './replayTurns.ts'

/** Where a client begins to read a channel. */
export interface Beginning {
  /** It has every message up to this position. `null`: it begins now. */
  readonly since: Position | null
  /** The number of older messages that it asks for. */
  readonly history: number
}

/** The channels for clients that begin to read: they wait until a channel is live, and has the messages that they lack. */
export class LiveChannels {
  readonly #table: ChannelTable
  readonly #orders: Orders
  readonly #logLimits: LogLimits
  readonly #replays = new ReplayTurns()

  constructor(table: ChannelTable, orders: Orders, logLimits: LogLimits) {
    this.#table = table
    this.#orders = orders
    this.#logLimits = logLimits
  }

  /**
   * The channel, if nothing has to be waited for: it is live, and its log has every message after `since`, which are few. Otherwise
   * `null`.
   */
  find(name: string, since: Position): LoggedChannel | null {
    const channel = this.#table.byName.get(name)
    const log = channel?.logCovering(since) ?? null
    if (channel === undefined || log === null || !this.#replays.isSmall(log.bytesAfter(since))) return null
    const head = this.lastOf(channel)
    const isKnown = isSameRun(since.beacon, head.beacon) && comparePositions(since, head) <= 0
    if (!isKnown || this.#orders.isForeign(channel, since)) return null
    return this.withLog(channel)
  }

  /**
   * Calls `act` when the channel is live, and `since` is either covered by its log or known to be unavailable. Before that, the
   * log gets the older messages that the client asks for, if any node has them.
   */
  async whenLive<T>(
    name: string,
    { since, history }: Beginning,
    seeker: Seeker,
    act: (channel: Channel, gap: GapReason | null) => T,
  ): Promise<T> {
    const channel = this.#table.retain(name)
    if (since !== null) channel.keepLog(this.#orders.beaconOf(channel), this.#logLimits)
    let hasTurn = false
    let hasGathered = history === 0
    try {
      for (;;) {
        const located = await this.#orders.locate(channel, since, seeker)
        if (channel.isRefused) throw new ChannelRefused(name)
        // The state may have changed while the call above was pending.
        const isLive = located !== 'away' && channel.state === 'live'
        const isOver = seeker.deadline.isOver || this.#orders.isHopeless(channel)
        if (located === 'late' || (!isLive && isOver)) throw unconfirmed()
        if (!isLive) continue
        if (!hasGathered) {
          const last = located === 'here' && since !== null ? since : this.lastOf(channel)
          await this.#orders.gather(channel, last, history, seeker)
          hasGathered = true
          continue
        }
        if (located !== 'here') return act(channel, located.gap)
        if (since === null) return act(channel, null)
        const { log } = this.withLog(channel)
        if (!log.covers(since)) continue
        const turn = hasTurn ? null : this.#replays.take(seeker.owner, log.bytesAfter(since))
        if (turn === null) return act(channel, null)
        // The log keeps the messages meanwhile.
        const reader = { isClient: false, cursorIn: () => since }
        channel.addReader(reader, since)
        await turn
        channel.readers.delete(reader)
        hasTurn = true
      }
    } finally {
      this.#table.release(channel)
    }
  }

  withLog(channel: Channel): LoggedChannel {
    return channel.withLog(this.#orders.beaconOf(channel), this.#logLimits)
  }

  lastOf(channel: Channel): Position {
    return channel.lastPosition(this.#orders.beaconOf(channel))
  }

  /**
   * The position from which a poll continues that was at `since`. If the log has overflowed, the poll gets the messages
   * that are left in it.
   */
  cursorAfter(channel: LoggedChannel, since: Position | null, gap: GapReason | null): Position {
    if (since === null || (gap !== null && gap !== 'overflow')) return this.lastOf(channel)
    return gap === null ? since : channel.log.start
  }

  /** The older messages for a client that begins here. After a gap, its own position means nothing. */
  historyBefore(
    channel: Channel,
    { since, history }: Beginning,
    gap: GapReason | null,
    head: Position,
  ): readonly Entry[] {
    return this.history(channel, gap === null && since !== null ? since : head, history)
  }

  history(channel: Channel, position: Position, max: number): readonly Entry[] {
    const log = max > 0 ? channel.logCovering(position) : null
    return log?.newestUpTo(position, max) ?? []
  }
}
