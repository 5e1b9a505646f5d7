import type { GapReason } from '@broadcaster/protocol'
import { Beacons } from '../cluster/beacons.ts'
import type { Channel, LoggedChannel, Subscriber, LogReader } from '../channels/channel.ts'
import type { ChannelStats } from './channelStats.ts'
import { ChannelTable } from './channelTable.ts'
import type { Deadline } from '../time/deadline.ts'
import { ChannelRefused, unconfirmed } from '../errors.ts'
import { FanOut } from '../channels/fanout.ts'
import type { Entry } from '../channels/log.ts'
import { Listening } from './listening.ts'
import { Membership } from '../cluster/membership.ts'
import { Numbering } from '../cluster/numbering.ts'
import { OrderCheck } from '../cluster/orderCheck.ts'
import { Oversized } from './oversized.ts'
import { positionOf, type Position } from '../channels/position.ts'
import { Recovery, type Seeker } from '../cluster/recovery.ts'
import type { HubOptions } from './hubOptions.ts'
import { ReplayTurns } from './replayTurns.ts'
import { uptimeMs } from '../time/uptime.ts'

/** The initial state of a subscription. */
export interface SubscribeResult<C extends Channel = Channel> {
  readonly channel: C
  /** The head of the channel. Every later message is delivered live. */
  readonly head: Position
  /** All messages that the client has missed; empty if there is a gap. */
  readonly missed: readonly Entry[]
  /** Why the client cannot receive the messages that it missed; `null` if there is no gap. */
  readonly gap: GapReason | null
}

export interface HubStats extends ChannelStats {
  /** The number of messages since the start that were not delivered because they were too large. */
  readonly oversizedMessages: number
  /** The bytes of logs that are requested from other nodes, or sent to them. */
  readonly backfillBytes: number
}

/**
 * All channels of this node and their subscribers. The hub is independent of transports and of the broker. Messages
 * come in through a {@link Backend}. They are delivered to {@link Subscriber}s immediately, or stay in the logs for
 * {@link LogReader}s.
 */
export class Hub {
  readonly #options: HubOptions
  readonly #table: ChannelTable
  readonly #channels: ReadonlyMap<string, Channel>
  readonly #fanOut = new FanOut()
  readonly #oversized: Oversized
  readonly #beacons: Beacons
  readonly #numbering: Numbering
  readonly #recovery: Recovery
  readonly #replays = new ReplayTurns()
  readonly #membership: Membership
  readonly #orderCheck: OrderCheck
  readonly #listening: Listening
  /** The arrival sequence number of the last message, over all channels of this node. */
  #arrivals = 0

  constructor(options: HubOptions) {
    this.#options = options
    const { backend, control, logger } = options
    this.#listening = new Listening(backend, options.onBack)
    this.#oversized = new Oversized(options.maxPublishedBytes, logger)
    this.#table = new ChannelTable(options, {
      added: (channel) => this.#membership.join(channel),
      removed: (channels) => this.#membership.leave(channels),
    })
    const channels = (this.#channels = this.#table.byName)
    const beacons = (this.#beacons = new Beacons(backend, logger, () => this.#membership.stuck()))
    const begin = (begun: readonly Channel[]): void => this.#recovery.begin(begun)
    const numbering = (this.#numbering = new Numbering({ beacons, control, channels, logger, begin }))
    this.#recovery = new Recovery({
      backend,
      control,
      beacons,
      fanOut: this.#fanOut,
      channels,
      logLimits: options.log,
      isHopeless: (channel) => this.#membership.isHopeless(channel),
      maxBackfillBytes: options.backfillBytes,
    })
    this.#orderCheck = new OrderCheck({ control, beacons, channels, logger })
    this.#membership = new Membership({
      backend,
      beacons,
      numbering,
      logger,
      ownChannels: control.own,
      channels,
      begin,
      forget: (channel) => this.#table.forget(channel),
      ready: () => this.#listening.ready(),
    })
  }

  /** Whether messages are received: the backend is connected, and all subscriptions are confirmed. */
  get isListening(): boolean {
    return this.#listening.isNow
  }

  /** Whether this node has the channel, or is subscribing to it. */
  holds(channel: string): boolean {
    return this.#channels.has(channel)
  }

  /**
   * The reason why a connected broker cannot do everything that is needed, as a short text; `null` if there is none.
   */
  get trouble(): string | null {
    // No channel can be joined without a beacon. After a refusal the next attempt comes later than the backend's own check.
    return this.#options.backend.trouble ?? (this.#beacons.isRefused ? 'Redis refused a beacon' : null)
  }

  /** Resolves when messages are received. */
  start(): Promise<void> {
    return this.#listening.start({
      message: (channel, body) => this.#receive(channel, body),
      up: () => void this.#membership.up(),
      down: (error) => this.#down(error),
    })
  }

  async close(): Promise<void> {
    this.#table.close()
    this.flush()
    this.#membership.down()
    this.#orderCheck.close()
    this.#beacons.close()
    this.#listening.close()
    await this.#options.backend.close()
  }

  stats(): HubStats {
    return {
      ...this.#table.stats(),
      oversizedMessages: this.#oversized.count,
      backfillBytes: this.#recovery.bytesInFlight,
    }
  }

  /**
   * Adds a subscriber to the channel, from the position `since`, or from now. `confirm` is called synchronously when
   * the subscriber is added, so what it writes comes before every live message.
   *
   * @throws {BroadcasterError} `brokerUnavailable` if Redis does not confirm before `deadline`, or reports that it
   * cannot; `ChannelRefused`; `NodeFull`
   */
  subscribe(
    subscriber: Subscriber,
    name: string,
    since: Position | null,
    deadline: Deadline,
    confirm: (result: SubscribeResult) => void,
  ): Promise<void> {
    return this.#whenLive(
      name,
      since,
      { owner: subscriber, node: subscriber.formerNode, deadline, isSession: false },
      (channel, gap) => {
        // `headOf` must come first: it flushes the pending messages, which are only for the earlier subscribers.
        const head = this.headOf(channel)
        channel.subscribers.add(subscriber)
        const missed = since !== null && gap === null ? this.#withLog(channel).log.after(since) : []
        confirm({ channel, head, missed, gap })
      },
    )
  }

  unsubscribe(subscriber: Subscriber, name: string): void {
    const channel = this.#channels.get(name)
    if (channel?.subscribers.has(subscriber) !== true) return
    this.flush()
    channel.subscribers.delete(subscriber)
    channel.idleSince = uptimeMs()
  }

  /**
   * Adds a reader of the channel's log, from the position `since`. Resolves with the position to read from, and with
   * the reason if it differs from `since`. `begin` is called synchronously when the reader is added. The reader is
   * woken for every new message, until {@link unwatch}.
   *
   * @throws {BroadcasterError} `brokerUnavailable`; `ChannelRefused`; `NodeFull`
   */
  async watch(
    reader: LogReader,
    name: string,
    since: Position | null,
    deadline: Deadline,
    begin: (channel: Channel, from: Position) => void,
  ): Promise<{ channel: LoggedChannel; from: Position; gap: GapReason | null }> {
    const act = (live: Channel, gap: GapReason | null) => {
      const channel = this.#withLog(live)
      channel.logReaders.add(reader)
      const from = this.#cursorAfter(channel, since, gap)
      begin(channel, from)
      return { channel, from, gap }
    }
    return this.#whenLive(name, since, { owner: reader, node: null, deadline, isSession: true }, act)
  }

  unwatch(reader: LogReader, channel: Channel): void {
    if (channel.logReaders.delete(reader)) channel.idleSince = uptimeMs()
  }

  /**
   * Reads the messages of the channel after `since`, once its subscription is confirmed, without adding a subscriber.
   * The channel is retained for the retention time. `begin` is called synchronously with the head up to which was read.
   * `owner` is the client that reads.
   *
   * @throws {BroadcasterError} `brokerUnavailable`; `ChannelRefused`; `NodeFull`
   */
  read(
    owner: object,
    name: string,
    since: Position | null,
    deadline: Deadline,
    begin: (channel: Channel, head: Position) => void,
    maxBytes = Infinity,
  ): Promise<SubscribeResult<LoggedChannel>> {
    return this.#whenLive(name, since, { owner, node: null, deadline, isSession: false }, (live, gap) => {
      const channel = this.#withLog(live)
      const missed = since !== null && gap === null ? channel.log.after(since, maxBytes) : []
      const last = missed.at(-1)
      const isAll = last === undefined || channel.log.firstAfter(last) === null
      const head = isAll ? this.#lastOf(channel) : positionOf(last)
      begin(channel, head)
      return { channel, head, missed, gap }
    })
  }

  /**
   * Resolves when every message that was published before this call has been received. It waits while Redis is
   * unavailable.
   */
  caughtUp(): Promise<void> {
    return this.#beacons.fresh()
  }

  /**
   * The position up to which messages have been delivered to the subscribers. Pending messages are delivered first, so
   * this is also the last message received.
   */
  headOf(channel: Channel): Position {
    this.flush()
    return this.#lastOf(channel)
  }

  /** Delivers the pending messages now. Without this call, it happens once per turn of the event loop. */
  flush(): void {
    this.#fanOut.flush()
  }

  // -- messages

  #receive(name: string, body: string): void {
    if (this.#options.control.receive(name, body)) return
    const channel = this.#channels.get(name)
    if (channel === undefined || channel.state === 'joining') return
    if (this.#oversized.includes(name, body)) return this.#fanOut.skip(channel, this.#beacons.current)
    const entry = channel.count(this.#beacons.current, JSON.stringify(body), uptimeMs(), ++this.#arrivals)
    channel.log?.append(entry)
    if (channel.state === 'live') this.#fanOut.add(channel, entry)
  }

  // -- channels

  #withLog(channel: Channel): LoggedChannel {
    return channel.withLog(this.#beacons.current, this.#options.log)
  }

  #lastOf(channel: Channel): Position {
    return channel.lastPosition(this.#beacons.current)
  }

  /**
   * The position from which a poll continues that was at `since`. If the log has overflowed, the poll gets the messages
   * that are left in it.
   */
  #cursorAfter(channel: LoggedChannel, since: Position | null, gap: GapReason | null): Position {
    if (since === null || (gap !== null && gap !== 'overflow')) return this.#lastOf(channel)
    return gap === null ? since : channel.log.start
  }

  /** Calls `act` when the channel is live, and `since` is either covered by its log or known to be unavailable. */
  async #whenLive<T>(
    name: string,
    since: Position | null,
    seeker: Seeker,
    act: (channel: Channel, gap: GapReason | null) => T,
  ): Promise<T> {
    const channel = this.#table.retain(name)
    if (since !== null) channel.keepLog(this.#beacons.current, this.#options.log)
    let hasTurn = false
    try {
      for (;;) {
        const located = await this.#recovery.locate(channel, since, seeker)
        if (channel.isRefused) throw new ChannelRefused(name)
        // The state may have changed while the call above was pending.
        const isLive = located !== 'away' && channel.state === 'live'
        const isOver = seeker.deadline.isOver || this.#membership.isHopeless(channel)
        if (located === 'late' || (!isLive && isOver)) throw unconfirmed()
        if (!isLive) continue
        if (located !== 'here') return act(channel, located.gap)
        if (since === null) return act(channel, null)
        const { log } = this.#withLog(channel)
        if (!log.covers(since)) continue
        const turn = hasTurn ? null : this.#replays.take(seeker.owner, log.bytesAfter(since))
        if (turn === null) return act(channel, null)
        // The log keeps the messages meanwhile.
        const reader = { cursorIn: () => since }
        channel.addReader(reader, since)
        await turn
        channel.readers.delete(reader)
        hasTurn = true
      }
    } finally {
      this.#table.release(channel)
    }
  }

  /** The connection to the broker broke. */
  #down(error: Error): void {
    this.#listening.down()
    this.#options.logger.debug({ err: error }, 'The node receives no messages from Redis')
    this.flush()
    this.#membership.down()
    this.#numbering.interrupt()
  }
}
