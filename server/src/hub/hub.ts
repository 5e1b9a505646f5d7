import type { GapReason } from '@broadcaster/protocol'
import { randomUUID } from 'node:crypto'
import type { BackendReceiver } from '../backends/backend.ts'
import { Beacons } from '../cluster/beacons.ts'
import { Channel, type LoggedChannel, type Subscriber, type LogReader } from '../channels/channel.ts'
import { channelStats, type ChannelStats } from './channelStats.ts'
import type { ControlMessage } from '../control/control.ts'
import type { Deadline } from '../time/deadline.ts'
import { deferred } from '../time/deferred.ts'
import { ChannelRefused, NodeFull, closed, unconfirmed } from '../errors.ts'
import { FanOut } from '../channels/fanout.ts'
import type { Entry } from '../channels/log.ts'
import { Membership } from '../cluster/membership.ts'
import { Oversized } from './oversized.ts'
import { isSameRun, positionOf, type Position } from '../channels/position.ts'
import { Recovery, type Seeker } from '../cluster/recovery.ts'
import type { HubOptions } from './hubOptions.ts'
import { Room } from './room.ts'
import { isReservedName } from '../control/reservedNames.ts'
import { sweepChannels } from './sweep.ts'
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

const SWEEP_INTERVAL_MS = 1000

/**
 * All channels of this node and their subscribers. The hub is independent of transports and of the broker. Messages
 * come in through a {@link Backend}. They are delivered to {@link Subscriber}s immediately, or stay in the logs for
 * {@link LogReader}s.
 */
export class Hub {
  readonly node = randomUUID()
  /** Receives the control messages that the hub does not handle itself. */
  onControl: (message: ControlMessage) => void = () => {}
  /**
   * Called when the node receives control messages again, after it may have missed some for `downMs`. Not called at the
   * first connect.
   */
  onBack: (downMs: number) => void = () => {}

  readonly #options: HubOptions
  readonly #channels = new Map<string, Channel>()
  readonly #fanOut = new FanOut()
  readonly #oversized: Oversized
  readonly #beacons: Beacons
  readonly #recovery: Recovery
  readonly #membership: Membership
  readonly #room: Room
  readonly #nodeChannel: string
  readonly #sweeper: NodeJS.Timeout
  /** Whether all subscriptions that were requested when the connection came up are confirmed. */
  #isReady = false
  #isClosed = false
  /** Since when control messages may have been missed; `null` while all are received. */
  #downSince: number | null = null
  readonly #listening = deferred()
  #order = 0

  constructor(options: HubOptions) {
    this.#options = options
    this.#oversized = new Oversized(options.maxPublishedBytes, options.logger)
    this.#nodeChannel = this.#nodeChannelOf(this.node)
    this.#beacons = new Beacons(options.backend, options.logger, () => this.#membership.stuck())
    this.#recovery = new Recovery({
      node: this.node,
      isOrdered: options.backend.isOrdered,
      beacons: this.#beacons,
      fanOut: this.#fanOut,
      channel: (name) => this.#channels.get(name),
      headOf: (channel) => this.#lastOf(channel),
      isHopeless: (channel) => this.#membership.isHopeless(channel),
      publishToAll: (message) => this.publishToAll(message),
      publishToNode: (node, message) => this.publishToNode(node, message),
      countNodes: async () => (await options.backend.countHolders([options.controlChannel]))[0]!,
      countHolders: (names) => options.backend.countHolders(names),
      maxBackfillBytes: options.backfillBytes,
    })
    this.#membership = new Membership({
      backend: options.backend,
      beacons: this.#beacons,
      logger: options.logger,
      ownChannels: [options.controlChannel, this.#nodeChannel],
      channels: this.#channels,
      begin: (channels) => this.#begin(channels),
      forget: (channel) => this.#channels.delete(channel.name),
      ready: () => {
        this.#isReady = true
        this.#listening.resolve()
        if (this.#downSince !== null) this.onBack(uptimeMs() - this.#downSince)
        this.#downSince = null
      },
    })
    this.#room = new Room(this.#channels, options.maxChannels, (idle) => this.#letGo(idle))
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_INTERVAL_MS)
    this.#sweeper.unref()
  }

  /** Whether messages are received: the backend is connected, and all subscriptions are confirmed. */
  get isListening(): boolean {
    return this.#isReady && this.#options.backend.isConnected && !this.#isClosed
  }

  /** Whether this node has the channel, or is subscribing to it. */
  holds(channel: string): boolean {
    return this.#channels.has(channel)
  }

  /** Whether clients cannot subscribe to this name. */
  isReserved(channel: string): boolean {
    return isReservedName(channel, this.#options)
  }

  /**
   * The reason why a connected broker cannot do everything that is needed, as a short text; `null` if there is none.
   */
  get trouble(): string | null {
    // No channel can be joined without a beacon. After a refusal the next attempt comes later than the backend's own check.
    return this.#options.backend.trouble ?? (this.#beacons.isRefused ? 'Redis refused a beacon' : null)
  }

  /** Resolves when messages are received. */
  async start(): Promise<void> {
    const receiver: BackendReceiver = {
      message: (channel, body) => this.#receive(channel, body),
      up: () => void this.#membership.up(),
      down: (error) => this.#down(error),
    }
    const started = this.#options.backend.start(receiver)
    // The race lets it end also if the hub is closed before the backend has started.
    await Promise.race([started, this.#listening.promise])
    await Promise.all([started, this.#listening.promise])
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#sweeper)
    this.flush()
    this.#membership.down()
    this.#beacons.close()
    this.#listening.reject(closed())
    await this.#options.backend.close()
  }

  publishToAll(message: ControlMessage): Promise<number> {
    return this.#publish(this.#options.controlChannel, message)
  }

  publishToNode(node: string, message: ControlMessage): Promise<number> {
    return this.#publish(this.#nodeChannelOf(node), message)
  }

  #publish(channel: string, message: ControlMessage): Promise<number> {
    const { backend, codec } = this.#options
    return backend.publish(channel, codec.encode(channel, message))
  }

  /** The {@link channelStats} of this node. */
  stats(): ChannelStats {
    return channelStats(this.#channels.values())
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
    return this.#at(name, since, { owner: subscriber, deadline, isSession: false }, (channel, gap) => {
      // `headOf` must come first: it flushes the pending messages, which are only for the earlier subscribers.
      const head = this.headOf(channel)
      channel.subscribers.add(subscriber)
      const missed = since !== null && gap === null ? this.#withLog(channel).log.after(since) : []
      confirm({ channel, head, missed, gap })
    })
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
    waiter: LogReader,
    name: string,
    since: Position | null,
    deadline: Deadline,
    begin: (channel: Channel, from: Position) => void,
  ): Promise<{ channel: LoggedChannel; from: Position; gap: GapReason | null }> {
    const act = (live: Channel, gap: GapReason | null) => {
      const channel = this.#withLog(live)
      channel.waiters.add(waiter)
      const from = this.#placeAfter(channel, since, gap)
      begin(channel, from)
      return { channel, from, gap }
    }
    return this.#at(name, since, { owner: waiter, deadline, isSession: true }, act)
  }

  unwatch(waiter: LogReader, channel: Channel): void {
    if (channel.waiters.delete(waiter)) channel.idleSince = uptimeMs()
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
    return this.#at(name, since, { owner, deadline, isSession: false }, (live, gap) => {
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

  /**
   * The position of the last message received. Messages up to it may be pending for subscribers, but they are already
   * in the log.
   */
  #lastOf(channel: Channel): Position {
    if (channel.state === 'live') return channel.head(this.#beacons.current)
    return (channel.before ?? channel.log)?.head ?? channel.head(this.#beacons.current)
  }

  /** Delivers the pending messages now. Without this call, it happens once per turn of the event loop. */
  flush(): void {
    this.#fanOut.flush()
  }

  // -- messages

  #receive(name: string, body: string): void {
    if (name === this.#options.controlChannel || name === this.#nodeChannel) {
      const message = this.#options.codec.decode(name, body)
      if (message !== null) this.#control(message)
      return
    }
    const channel = this.#channels.get(name)
    if (channel === undefined || channel.state === 'joining') return
    if (this.#oversized.includes(name, body)) return this.#skip(channel)
    const entry = channel.count(this.#beacons.current, JSON.stringify(body), uptimeMs(), ++this.#order)
    channel.log?.append(entry)
    if (channel.state === 'live') this.#fanOut.add(channel, entry)
  }

  /** Handles a body that is too large: clients receive a gap in its place. */
  #skip(channel: Channel): void {
    // Earlier messages are delivered first.
    this.flush()
    const position = channel.skip(this.#beacons.current)
    if (channel.state !== 'live') return
    for (const subscriber of channel.subscribers) {
      // A lagging subscriber detects the gap when it reads on from the log.
      if (!subscriber.isLagging) subscriber.gap(channel, position, 'overflow')
    }
    for (const waiter of channel.waiters) waiter.wake(channel)
  }

  #control(message: ControlMessage): void {
    switch (message.type) {
      case 'beacon':
        return this.#countFrom(message.n)
      case 'where':
      case 'whereIs':
      case 'getPage':
      case 'page':
        return this.#recovery.control(message)
      default:
        return this.onControl(message)
    }
  }

  // -- beacons

  #countFrom(beacon: number): void {
    const before = this.#beacons.current
    if (!this.#beacons.advance(beacon)) {
      // The broker has lost its last number, and its clock is behind ours. Other nodes may number messages from the
      // lower beacon, so their positions cannot be compared with ours. A new beacon above both makes all nodes agree
      // again.
      if (beacon < before) this.#renumber(before)
      return
    }
    // A connection normally does not survive a restart of the broker. If it did, the positions so far belong to the
    // order of another run. A lower beacon is only accepted after the earlier ones were given up.
    if (!isSameRun(before, beacon) || beacon < before) this.#renumber(before)
    this.#membership.beginConfirmed()
    this.#beacons.reached()
  }

  #renumber(last: number): void {
    const counting = [...this.#channels.values()].filter(({ state }) => state !== 'joining')
    if (counting.length === 0) return
    this.#options.logger.warn(
      { beacon: last },
      'The beacon number of Redis went backwards: positions are renumbered',
    )
    for (const channel of counting) channel.broken(last)
    this.#membership.recount(counting)
  }

  // -- joining and leaving channels

  #hold(name: string): Channel {
    let channel = this.#channels.get(name)
    if (channel === undefined) {
      if (!this.#room.hasPlace()) throw new NodeFull(name)
      channel = new Channel(name, this.#options.compression)
      this.#channels.set(name, channel)
      this.#membership.join(channel)
    }
    channel.interest += 1
    return channel
  }

  #release(channel: Channel): void {
    channel.interest -= 1
    channel.idleSince = uptimeMs()
  }

  /** The channels count messages from the current beacon on. Earlier messages are requested from the other nodes. */
  #begin(channels: readonly Channel[]): void {
    for (const channel of channels) {
      channel.begin(this.#beacons.current, this.#options.log)
      if (this.#options.recovery || channel.keepsLog) this.#keepLog(channel)
    }
    const holes = channels.filter(({ state }) => state === 'filling')
    if (holes.length > 0) this.#recovery.fill(holes)
    const fresh = channels.filter(({ state, log }) => state === 'live' && log !== null)
    if (fresh.length > 0) this.#recovery.reachBack(fresh)
  }

  /** Gives the channel a log, from now on, or from the moment when it begins to count. */
  #keepLog(channel: Channel): void {
    channel.keepsLog = true
    if (channel.state === 'live') this.#withLog(channel)
  }

  /** Returns a live channel with its log. A channel without a log gets a new one, which begins here. */
  #withLog(channel: Channel): LoggedChannel {
    channel.keepsLog = true
    channel.log ??= channel.startLog(this.#options.log, this.#lastOf(channel), 'node')
    // TypeScript does not narrow a class by its property.
    return channel as LoggedChannel
  }

  /**
   * The position from which a poll continues that was at `since`. If the log has overflowed, the poll gets the messages
   * that are left in it.
   */
  #placeAfter(channel: LoggedChannel, since: Position | null, gap: GapReason | null): Position {
    if (since === null || (gap !== null && gap !== 'overflow')) return this.#lastOf(channel)
    return gap === null ? since : channel.log.start
  }

  /** Calls `act` when the channel is live, and `since` is either covered by its log or known to be unavailable. */
  async #at<T>(
    name: string,
    since: Position | null,
    seeker: Seeker,
    act: (channel: Channel, gap: GapReason | null) => T,
  ): Promise<T> {
    const channel = this.#hold(name)
    if (since !== null) this.#keepLog(channel)
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
        if (since === null || this.#withLog(channel).log.covers(since)) return act(channel, null)
      }
    } finally {
      this.#release(channel)
    }
  }

  // -- the connection to the broker

  #down(error: Error): void {
    if (this.#isReady) this.#downSince ??= uptimeMs()
    this.#isReady = false
    this.#options.logger.debug({ err: error }, 'The node receives no messages from Redis')
    this.flush()
    this.#membership.down()
    for (const channel of this.#channels.values()) channel.broken(this.#beacons.current)
  }

  // -- housekeeping

  #sweep(): void {
    const { log, retentionMs } = this.#options
    this.#letGo(sweepChannels(this.#channels.values(), { ...log, retentionMs }))
  }

  #letGo(channels: readonly Channel[]): void {
    for (const { name } of channels) this.#channels.delete(name)
    this.#membership.leave(channels)
  }

  #nodeChannelOf(node: string): string {
    return `${this.#options.controlNamespace}node:${node}`
  }
}
