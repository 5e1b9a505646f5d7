import type { GapReason } from '@broadcaster/protocol'
import { randomUUID } from 'node:crypto'
import type { Backend, BackendReceiver } from '../backends/backend.ts'
import { Beacons } from '../cluster/beacons.ts'
import { Channel, type LoggedChannel, type Subscriber, type LogReader } from '../channels/channel.ts'
import { channelStats, type ChannelStats } from './channelStats.ts'
import type { ControlCodec } from '../control/codec.ts'
import type { ControlMessage } from '../control/control.ts'
import type { Deadline } from '../time/deadline.ts'
import { deferred } from '../time/deferred.ts'
import { BroadcasterError, ChannelRefused, unconfirmed } from '../errors.ts'
import { FanOut } from '../channels/fanout.ts'
import type { Compression } from '../channels/frames.ts'
import type { Entry, LogLimits } from '../channels/log.ts'
import type { Logger } from '../logger.ts'
import { Membership } from '../cluster/membership.ts'
import { Oversized } from './oversized.ts'
import { isSameRun, positionOf, type Position } from '../channels/position.ts'
import { Recovery, type Seeker } from '../cluster/recovery.ts'
import { isReservedName } from '../control/reservedNames.ts'
import { sweepChannels } from './sweep.ts'
import { uptimeMs } from '../time/uptime.ts'

export interface HubOptions {
  readonly backend: Backend
  readonly logger: Logger
  readonly codec: ControlCodec
  readonly controlChannel: string
  readonly controlNamespace: string
  /** Whether every channel keeps a log; otherwise only those that long-poll reads from do. */
  readonly recovery: boolean
  /** The largest body that is delivered. */
  readonly maxPublishedBytes: number
  readonly log: LogLimits & { readonly windowMs: number; readonly maxTotalBytes: number }
  /** How messages are compressed for those who take it; `null` for nobody. */
  readonly compression: Compression | null
  /** Bytes of logs in flight between this node and others at most. */
  readonly backfillBytes: number
  /** How long a channel that nobody listens to any more is kept for those who come back. */
  readonly retentionMs: number
}

/** How a subscription begins. */
export interface SubscribeResult<C extends Channel = Channel> {
  readonly channel: C
  /** Where the channel stands; everything after it is live. */
  readonly head: Position
  /** What the client has missed, all of it; empty if there was a gap. */
  readonly missed: readonly Entry[]
  /** Why the client can't be given what it missed. */
  readonly gap: GapReason | null
}

const SWEEP_INTERVAL_MS = 1000

/**
 * The channels of this node, and who listens to them. Knows no transport and no broker: messages come in through a
 * {@link Backend} and go out to {@link Subscriber}s at once, or wait in the logs for {@link LogReader}s.
 */
export class Hub {
  readonly node = randomUUID()
  /** What other nodes say that is not the hub's own business. */
  onControl: (message: ControlMessage) => void = () => {}
  /** It hears other nodes again, after it may have missed what they said for so long. Not called the first time. */
  onBack: (downMs: number) => void = () => {}

  readonly #options: HubOptions
  readonly #channels = new Map<string, Channel>()
  readonly #fanOut = new FanOut()
  readonly #oversized: Oversized
  readonly #beacons: Beacons
  readonly #recovery: Recovery
  readonly #membership: Membership
  readonly #nodeChannel: string
  readonly #sweeper: NodeJS.Timeout
  /** Everything that was wanted when the connection came up is confirmed. */
  #isReady = false
  #isClosed = false
  /** Since when it may have missed something; `null` while it hears everything. */
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
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_INTERVAL_MS)
    this.#sweeper.unref()
  }

  /** Whether messages are coming in: connected, and all subscriptions confirmed. */
  get isListening(): boolean {
    return this.#isReady && this.#options.backend.isConnected && !this.#isClosed
  }

  /** Names that clients can't subscribe to. */
  isReserved(channel: string): boolean {
    return isReservedName(channel, this.#options)
  }

  /** What the broker can't do for now although it is there, in a word; `null` if all is well. */
  get trouble(): string | null {
    return this.#options.backend.trouble
  }

  /** Resolves when messages are coming in. */
  async start(): Promise<void> {
    const receiver: BackendReceiver = {
      message: (channel, body) => this.#receive(channel, body),
      up: () => void this.#membership.up(),
      down: (error) => this.#down(error),
    }
    const started = this.#options.backend.start(receiver)
    // Closed before it was ever started, it ends too.
    await Promise.race([started, this.#listening.promise])
    await Promise.all([started, this.#listening.promise])
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#sweeper)
    this.flush()
    this.#membership.down()
    this.#beacons.close()
    this.#listening.reject(new BroadcasterError('closed', 'The broadcaster has been closed'))
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

  /** What {@link channelStats} says of the channels of this node. */
  stats(): ChannelStats {
    return channelStats(this.#channels.values())
  }

  /**
   * Makes `subscriber` a listener of the channel from `since` on, or from now. `confirm` is called in the moment in
   * which it becomes one: what it writes comes before every live message.
   *
   * @throws {BroadcasterError} `brokerUnavailable` if Redis does not confirm before `deadline`, or says that it can't; `ChannelRefused`.
   */
  subscribe(
    subscriber: Subscriber,
    name: string,
    since: Position | null,
    deadline: Deadline,
    confirm: (result: SubscribeResult) => void,
  ): Promise<void> {
    return this.#at(name, since, { owner: subscriber, deadline, isSession: false }, (channel, gap) => {
      // In this order: what is pending is only for those who are listening already.
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
   * Makes `waiter` somebody who reads the channel's log from `since` on. Resolves with the place to read from and
   * why it had to be another one; `begin` is called in the moment in which it reads from there. Until {@link unwatch} it is
   * woken for every new message.
   *
   * @throws {BroadcasterError} `brokerUnavailable`; `ChannelRefused`
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
   * What the channel has after `since`, once it is confirmed, without listening to it; it is kept for the retention
   * time. `begin` is called in the moment in which it stands there. `owner` is the client that reads.
   *
   * @throws {BroadcasterError} `brokerUnavailable`; `ChannelRefused`
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

  /** Resolves when everything that was published before this call has come in, however long Redis is away. */
  caughtUp(): Promise<void> {
    return this.#beacons.fresh()
  }

  /** Up to where the channel has been delivered to its listeners. What is pending is delivered first: so it is all that has come. */
  headOf(channel: Channel): Position {
    this.flush()
    return this.#lastOf(channel)
  }

  /** Up to where messages of the channel have come. Some of them may be pending; those who read from its log have them already. */
  #lastOf(channel: Channel): Position {
    if (channel.state === 'live') return channel.head(this.#beacons.current)
    return (channel.before ?? channel.log)?.head ?? channel.head(this.#beacons.current)
  }

  /** Delivers what has come, now. It happens by itself once a turn of the event loop. */
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

  /** A body that is too large is not delivered: clients are told of a gap in its place. */
  #skip(channel: Channel): void {
    // What came before it is delivered before.
    this.flush()
    const position = channel.skip(this.#beacons.current)
    if (channel.state !== 'live') return
    for (const subscriber of channel.subscribers) {
      // A lagging one finds out by itself when it reads on.
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
      // A broker that has forgotten where it was, and a clock behind ours: other nodes may be numbering from there, so
      // what is here can't be compared with theirs. A beacon above both makes everybody agree again.
      if (beacon < before) this.#renumber(before)
      return
    }
    // Nobody stays connected from one run of a broker to the next; if one did, what it has is of another order now.
    // Nor does it go back, unless it has disowned what was before.
    if (!isSameRun(before, beacon) || beacon < before) this.#renumber(before)
    this.#membership.beginConfirmed()
    this.#beacons.reached()
  }

  #renumber(last: number): void {
    const counting = [...this.#channels.values()].filter(({ state }) => state !== 'joining')
    if (counting.length === 0) return
    this.#options.logger.warn({ beacon: last }, 'Redis has gone back in time: positions begin anew')
    for (const channel of counting) channel.broken(last)
    this.#membership.recount(counting)
  }

  // -- joining and leaving channels

  #hold(name: string): Channel {
    let channel = this.#channels.get(name)
    if (channel === undefined) {
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

  /** The channels count from the current beacon on; what lies before it is asked of the other nodes. */
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

  /** From now on, or from when it counts, the channel has a log. */
  #keepLog(channel: Channel): void {
    channel.keepsLog = true
    if (channel.state === 'live') this.#withLog(channel)
  }

  /** Has a live channel keep a log. One that has none begins here. */
  #withLog(channel: Channel): LoggedChannel {
    channel.keepsLog = true
    channel.log ??= channel.startLog(this.#options.log, this.#lastOf(channel), 'node')
    // The compiler does not narrow a class by its property.
    return channel as LoggedChannel
  }

  /** From where a poll reads that was at `since`. Where a log has run over, what is left of it is better than nothing. */
  #placeAfter(channel: LoggedChannel, since: Position | null, gap: GapReason | null): Position {
    if (since === null || (gap !== null && gap !== 'overflow')) return this.#lastOf(channel)
    return gap === null ? since : channel.log.start
  }

  /** Calls `act` in a moment in which the channel is live, and `since` is in its log or can't be had. */
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
        // Something may have come between the answer and now.
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
    this.#options.logger.debug({ err: error }, 'Not listening')
    this.flush()
    this.#membership.down()
    for (const channel of this.#channels.values()) channel.broken(this.#beacons.current)
  }

  // -- housekeeping

  #sweep(): void {
    const { log, retentionMs } = this.#options
    const gone = sweepChannels(this.#channels.values(), { ...log, retentionMs })
    for (const { name } of gone) this.#channels.delete(name)
    this.#membership.leave(gone)
  }

  #nodeChannelOf(node: string): string {
    return `${this.#options.controlNamespace}node:${node}`
  }
}
