import type { Beacons } from './beacons.ts'
import type { Channel, Reader } from '../channels/channel.ts'
import type { ControlMessage } from '../control/control.ts'
import type { Deadline } from '../time/deadline.ts'
import type { FanOut } from '../channels/fanout.ts'
import { Heads, type Beginning } from './heads.ts'
import type { ChannelLog, Entry } from '../channels/log.ts'
import { Peers, type Range } from './peers.ts'
import { comparePositions, isSameRun, type Position } from '../channels/position.ts'
import type { GapReason } from '@broadcaster/protocol'

/** What {@link Recovery} needs of the hub. */
export interface RecoveryHost {
  readonly node: string
  /** Whether other nodes number messages alike. */
  readonly isOrdered: boolean
  readonly beacons: Beacons
  readonly fanOut: FanOut
  channel(name: string): Channel | undefined
  headOf(channel: Channel): Position
  /** Whether the channel won't be live, for all that is known now. */
  isHopeless(channel: Channel): boolean
  publishToAll(message: ControlMessage): Promise<number>
  publishToNode(node: string, message: ControlMessage): Promise<number>
}

/** Gets what a log lacks from the other nodes, or says that it is not to be had. */
export class Recovery {
  readonly #host: RecoveryHost
  readonly #peers: Peers
  readonly #heads: Heads
  /** What the clients that have come back in this turn need of each channel. */
  readonly #gathering = new Map<Channel, { since: Position; done: Promise<void> }>()
  /** Questions that the others have not answered yet. */
  readonly #running = new Map<Channel, Promise<void>>()

  constructor(host: RecoveryHost) {
    this.#host = host
    this.#peers = new Peers({
      node: host.node,
      publishToAll: (message) => host.publishToAll(message),
      publishToNode: (node, message) => host.publishToNode(node, message),
      read: (range) => this.#read(range),
    })
    this.#heads = new Heads({
      node: host.node,
      publishToAll: (message) => host.publishToAll(message),
      publishToNode: (node, message) => host.publishToNode(node, message),
      lastBefore: (beginning) => this.#lastBefore(beginning),
    })
  }

  control(message: Extract<ControlMessage, { type: 'fetch' | 'fetched' | 'heads' | 'headsAre' }>): void {
    switch (message.type) {
      case 'fetch':
        return this.#peers.answer(message)
      case 'fetched':
        return this.#peers.receive(message)
      case 'heads':
        return this.#heads.answer(message)
      case 'headsAre':
        return this.#heads.receive(message)
    }
  }

  /** Lets logs that have just begun reach back over the quiet before, of which other nodes know. */
  async reachBack(channels: readonly Channel[]): Promise<void> {
    if (!this.#host.isOrdered) return
    const logs = channels.map(({ log }) => log!)
    const beginnings = channels.map(({ name }, i) => ({ channel: name, at: logs[i]!.start }))
    const heads = await this.#heads.find(beginnings)
    channels.forEach((channel, i) => {
      const log = logs[i]!
      const head = heads[i]
      // Meanwhile it may have been filled for a client, or have lost its beginning.
      const isAsItWas = channel.log === log && comparePositions(log.start, beginnings[i]!.at) === 0
      if (head && isAsItWas) log.prepend([], head, 'node')
    })
  }

  /**
   * Waits until the channel is live and its log reaches back to `since`, for which other nodes are asked if need be.
   * Returns why it can't, if it can't. The log must be kept. A channel that is not live when it returns has to be asked for
   * again, or is hopeless. What was thrown away here another node may have kept for a session, with `isOfSession`.
   */
  async locate(
    channel: Channel,
    since: Position | null,
    deadline: Deadline,
    isOfSession: boolean,
  ): Promise<GapReason | null> {
    let hasAskedBroker = false
    let hasAskedPeers = false
    for (;;) {
      if (channel.state !== 'live' && !this.#host.isHopeless(channel)) await deadline.wait(channel.settled)
      if (deadline.isOver || since === null || channel.state !== 'live') return null
      const log = channel.log!
      const head = this.#host.headOf(channel)
      const isOfThisRun = isSameRun(since.beacon, head.beacon)
      if (!isOfThisRun || comparePositions(since, head) > 0) {
        // Another node was faster than this one. Once a beacon from now has come, what that one had has come too.
        if (hasAskedBroker) return isOfThisRun ? 'expired' : 'broker'
        hasAskedBroker = true
        await this.#host.beacons.fresh()
      } else if (log.covers(since)) {
        return null
      } else if ((log.isTrimmed && !isOfSession) || hasAskedPeers) {
        return log.startReason
      } else {
        hasAskedPeers = await this.#backfill(channel, since)
      }
    }
  }

  /**
   * Has the log reach back to `since`, if another node has what lacks. When many clients come back at once, those of a turn
   * are asked for together, and later ones wait whether that serves them too: returns whether just `since` was asked for.
   */
  async #backfill(channel: Channel, since: Position): Promise<boolean> {
    const running = this.#running.get(channel)
    if (running !== undefined) {
      await running
      return false
    }
    const gathering = this.#gathering.get(channel)
    if (gathering !== undefined) {
      if (comparePositions(since, gathering.since) < 0) gathering.since = since
      await gathering.done
      // What nobody has for the one who was away longest, somebody may have for the others.
      return gathering.since === since
    }
    const backfill = { since, done: Promise.resolve() }
    backfill.done = turn().then(async () => {
      this.#gathering.delete(channel)
      const asked = this.#askFor(channel, backfill.since)
      this.#running.set(channel, asked)
      await asked
      this.#running.delete(channel)
    })
    this.#gathering.set(channel, backfill)
    await backfill.done
    return backfill.since === since
  }

  async #askFor(channel: Channel, since: Position): Promise<void> {
    const log = channel.log!
    const before = log.start
    // Until it is there nothing may be thrown away between it and what there is.
    const reader: Reader = { placeIn: () => before }
    channel.addReader(reader, before)
    const [entries] = await this.#fetch([{ channel: channel.name, after: since, before }])
    channel.readers.delete(reader)
    const isAdjacent = comparePositions(log.start, before) <= 0
    if (entries && channel.log === log && isAdjacent && !log.covers(since)) extend(log, since, entries)
  }

  /** Fills what channels missed while the connection was broken, and delivers it. */
  async fill(channels: readonly Channel[]): Promise<void> {
    const logs = channels.map(({ log }) => log!)
    const ranges = channels.map(({ name, before }, i): Range => ({
      channel: name,
      after: before!.head,
      before: logs[i]!.start,
    }))
    const results = await this.#fetch(ranges)
    channels.forEach((channel, i) => {
      // If the connection broke again, the next filling is for this hole too.
      if (channel.state !== 'filling' || channel.log !== logs[i]) return
      this.#settle(channel, logs[i]!, ranges[i]!, results[i] ?? null)
    })
  }

  #settle(channel: Channel, log: ChannelLog, hole: Range, filling: readonly Entry[] | null): void {
    const before = channel.before!
    channel.before = null
    const isFilled = filling !== null && comparePositions(log.start, hole.before) === 0
    if (isFilled) {
      log.prepend(filling, hole.after, 'broker')
      log.prepend(before.after(before.start), before.start, before.startReason)
    }
    channel.live()
    for (const subscriber of channel.subscribers) {
      // A lagging one finds out by itself when it reads on.
      if (!isFilled && !subscriber.isLagging) subscriber.gap(channel, log.start, log.startReason)
    }
    // Nobody was given anything since the connection broke.
    for (const entry of log.after(isFilled ? hole.after : log.start)) this.#host.fanOut.add(channel, entry)
    this.#host.fanOut.flush()
    for (const subscriber of channel.subscribers) if (subscriber.isLagging) subscriber.catchUp()
    for (const waiter of channel.waiters) waiter.wake(channel)
  }

  async #fetch(ranges: readonly Range[]): Promise<(Entry[] | null)[]> {
    // Without one order for all, the others' positions are other places.
    return this.#host.isOrdered ? this.#peers.fetch(ranges) : ranges.map(() => null)
  }

  #read({ channel: name, after, before }: Range): Entry[] | null {
    const channel = this.#host.channel(name)
    if (channel?.state !== 'live' || channel.log?.covers(after) !== true) return null
    return channel.log.after(after).filter((entry) => comparePositions(entry, before) <= 0)
  }

  #lastBefore({ channel: name, at }: Beginning): Position | null {
    const channel = this.#host.channel(name)
    if (channel?.state !== 'live' || channel.log?.covers(at) !== true) return null
    return channel.log.lastUpTo(at)
  }
}

/** Puts in front of the log what another node had. The log may have been extended for others meanwhile. */
function extend(log: ChannelLog, start: Position, entries: readonly Entry[]): void {
  const missing = entries.filter((entry) => comparePositions(entry, log.start) <= 0)
  log.prepend(missing, start, 'node')
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
