import type { GapReason } from '@broadcaster/protocol'
import type { Channel, LoggedChannel, Subscriber, LogReader } from '../channels/channel.ts'
import { channelTotals, type ChannelStats, type ChannelTotals } from './channelStats.ts'
import type { CopyStats } from '../cluster/copies.ts'
import { ChannelTable } from './channelTable.ts'
import type { Deadline } from '../time/deadline.ts'
import { FanOut } from '../channels/fanout.ts'
import type { Entry } from '../channels/log.ts'
import { Oversized } from './oversized.ts'
import { positionOf, type Position } from '../channels/position.ts'
import { Orders } from '../cluster/orders.ts'
import type { HubOptions } from './hubOptions.ts'
import { LiveChannels, type Beginning } from './liveChannels.ts'
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
  /** The newest messages before those that it missed. Empty if it did not ask for any. */
  readonly history: readonly Entry[]
}

export interface HubStats extends ChannelStats, CopyStats {
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
  readonly #fanOut: FanOut
  readonly #oversized: Oversized
  readonly #orders: Orders
  readonly #live: LiveChannels
  /** The arrival sequence number of the last message, over all channels of this node. */
  #arrivals = 0

  constructor(options: HubOptions) {
    this.#options = options
    const { backend, control, logger, counts, onListening } = options
    this.#fanOut = new FanOut(counts, options.latency)
    this.#oversized = new Oversized(options.maxPublishedBytes, logger, counts)
    this.#table = new ChannelTable(options, {
      added: (channel) => this.#orders.add(channel),
      removed: (channels) => this.#orders.remove(channels),
    })
    this.#channels = this.#table.byName
    this.#orders = new Orders({
      backend,
      control,
      logger,
      counts,
      onListening,
      fanOut: this.#fanOut,
      channels: this.#channels,
      logLimits: options.log,
      maxBackfillBytes: options.backfillBytes,
      received: (channel, body, beacon) => this.#received(channel, body, beacon),
      forget: (channel) => this.#table.forget(channel),
      copies: {
        number: options.copies,
        retentionMs: options.retentionMs,
        retain: (channel) => this.#table.retainCopy(channel),
        letGo: (channel) => this.#table.letGo(channel),
      },
    })
    this.#live = new LiveChannels(this.#table, this.#orders, options.log)
  }

  /** Whether messages are received: the backend is connected, and all subscriptions are confirmed. */
  get isListening(): boolean {
    return this.#orders.isListening
  }

  /** Whether all control messages are received. */
  get isListeningToAll(): boolean {
    return this.#orders.isListeningToAll
  }

  /** Whether this node has the channel, or is subscribing to it. */
  holds(channel: string): boolean {
    return this.#channels.has(channel)
  }

  /**
   * The reason why a connected broker cannot do everything that is needed, as a short text; `null` if there is none.
   */
  get trouble(): string | null {
    return this.#orders.trouble
  }

  /** Resolves when messages are received. */
  start(): Promise<void> {
    return this.#orders.start()
  }

  /** The node will end. The channels that it holds for other nodes need to be held elsewhere. */
  leave(): Promise<void> {
    return this.#orders.leave()
  }

  async close(): Promise<void> {
    this.#table.close()
    this.flush()
    await this.#orders.close()
  }

  stats(): HubStats {
    return {
      ...this.#table.stats(),
      ...this.#orders.copyStats(),
      oversizedMessages: this.#oversized.count,
      backfillBytes: this.#orders.bytesInFlight,
    }
  }

  /** What {@link stats} counts, without the names of channels. */
  totals(): ChannelTotals & CopyStats & { readonly backfillBytes: number } {
    return {
      ...channelTotals(this.#channels.values()),
      ...this.#orders.copyStats(),
      backfillBytes: this.#orders.bytesInFlight,
    }
  }

  /**
   * Adds a subscriber to the channel. `confirm` is called synchronously when the subscriber is added, so what it writes comes
   * before every live message.
   *
   * @throws {BroadcasterError} `brokerUnavailable` if Redis does not confirm before `deadline`, or reports that it
   * cannot; `ChannelRefused`; `NodeFull`
   */
  subscribe(
    subscriber: Subscriber,
    name: string,
    beginning: Beginning,
    deadline: Deadline,
    confirm: (result: SubscribeResult) => void,
  ): Promise<void> {
    const { since } = beginning
    return this.#live.whenLive(
      name,
      beginning,
      { owner: subscriber, node: subscriber.formerNode, deadline, isSession: false },
      (channel, gap) => {
        // `headOf` must come first: it flushes the pending messages, which are only for the earlier subscribers.
        const head = this.headOf(channel)
        channel.subscribers.add(subscriber)
        const missed = since !== null && gap === null ? this.#live.withLog(channel).log.after(since) : []
        const history = this.#live.historyBefore(channel, beginning, gap, head)
        confirm({ channel, head, missed, gap, history })
      },
    )
  }

  /**
   * The newest messages of a channel that the client has already, up to `position`. Waits for what other nodes have of them.
   */
  async history(
    subscriber: Subscriber,
    channel: Channel,
    position: Position,
    max: number,
  ): Promise<readonly Entry[]> {
    await this.#orders.gather(channel, position, max, { owner: subscriber, node: subscriber.formerNode })
    return this.#live.history(channel, position, max)
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
      const channel = this.#live.withLog(live)
      channel.logReaders.add(reader)
      const from = this.#live.cursorAfter(channel, since, gap)
      begin(channel, from)
      return { channel, from, gap }
    }
    const beginning = { since, history: 0 }
    return this.#live.whenLive(name, beginning, { owner: reader, node: null, deadline, isSession: true }, act)
  }

  /**
   * The same as {@link watch}, if nothing has to be waited for: the channel is live, and its log has every message after
   * `since`, which are few. Otherwise it does nothing and returns `null`. This is the common case of a poll.
   */
  watchNow(reader: LogReader, name: string, since: Position): LoggedChannel | null {
    const channel = this.#live.find(name, since)
    channel?.logReaders.add(reader)
    return channel
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
    beginning: Beginning,
    deadline: Deadline,
    begin: (channel: Channel, head: Position) => void,
    maxBytes = Infinity,
  ): Promise<SubscribeResult<LoggedChannel>> {
    const { since } = beginning
    return this.#live.whenLive(
      name,
      beginning,
      { owner, node: null, deadline, isSession: false },
      (live, gap) => {
        const channel = this.#live.withLog(live)
        const missed = since !== null && gap === null ? channel.log.after(since, maxBytes) : []
        const last = missed.at(-1)
        const isAll = last === undefined || channel.log.firstAfter(last) === null
        const head = isAll ? this.#live.lastOf(channel) : positionOf(last)
        const history = this.#live.historyBefore(channel, beginning, gap, head)
        begin(channel, head)
        return { channel, head, missed, gap, history }
      },
    )
  }

  /**
   * Resolves when every message that was published before this call has been received. It waits while Redis is
   * unavailable.
   */
  caughtUp(): Promise<void> {
    return this.#orders.caughtUp()
  }

  /**
   * The position up to which messages have been delivered to the subscribers. Pending messages are delivered first, so
   * this is also the last message received.
   */
  headOf(channel: Channel): Position {
    this.flush()
    return this.#live.lastOf(channel)
  }

  /** Delivers the pending messages now. Without this call, it happens once per turn of the event loop. */
  flush(): void {
    this.#fanOut.flush()
  }

  // -- messages

  #received(channel: Channel, body: string, beacon: number): void {
    const { counts } = this.#options
    counts.received += 1
    counts.receivedBytes += Buffer.byteLength(body)
    if (this.#oversized.includes(channel.name, body)) return this.#fanOut.skip(channel, beacon)
    const entry = channel.count(beacon, JSON.stringify(body), uptimeMs(), ++this.#arrivals)
    channel.log?.append(entry)
    if (channel.state === 'live') this.#fanOut.arrived(channel, entry)
  }
}
