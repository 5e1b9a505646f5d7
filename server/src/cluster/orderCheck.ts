import { createHash } from 'node:crypto'
import type { Channel } from '../channels/channel.ts'
import type { ChannelLog, Entry } from '../channels/log.ts'
import {
  comparePositions,
  formatPosition,
  isSameRun,
  parsePosition,
  positionOf,
  type Position,
} from '../channels/position.ts'
import type { ControlMessageOf } from '../control/control.ts'
import type { EventLogger } from '../logger.ts'
import type { Beacons } from './beacons.ts'
import type { ControlChannels } from './controlChannels.ts'

/** How long no node has sent a check before this node sends one: this time, and up to as much again. */
const INTERVAL_MS = 5000
/** The number of channels in one check. */
const CHANNELS = 4
/** The number of messages of a channel in one check. */
const MESSAGES = 50

export interface OrderCheckHost {
  readonly control: ControlChannels
  readonly beacons: Beacons
  readonly channels: ReadonlyMap<string, Channel>
  readonly logger: EventLogger
}

/**
 * Checks that all nodes receive messages in the same order. If they do not, nodes give the same number to different
 * messages, and a client that moves to another node loses messages silently. This is so on servers that deliver messages
 * in several threads, and behind proxies that spread subscriptions over several servers.
 *
 * From time to time, one node sends a hash of the last messages of a few channels. The other nodes compare it with their
 * own logs. After a difference, each of these nodes counts in a run of its own, so that positions of different nodes
 * cannot be compared any more.
 */
export class OrderCheck {
  readonly #host: OrderCheckHost
  #timer: NodeJS.Timeout | null = null

  constructor(host: OrderCheckHost) {
    this.#host = host
    host.control.register({ order: (check) => this.#received(check) })
    this.#wait()
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
  }

  /** The check of any node restarts the time of all nodes. So the number of checks does not grow with the nodes. */
  #wait(): void {
    this.close()
    this.#timer = setTimeout(() => this.#send(), INTERVAL_MS * (1 + Math.random()))
    this.#timer.unref()
  }

  #send(): void {
    this.#wait()
    const { beacons, control, channels } = this.#host
    if (beacons.isSeparate || beacons.wasAloneAt(beacons.current)) return
    const samples = pick(channels).map((channel) => sample(channel.name, channel.log!))
    if (samples.length === 0) return
    control.publishToAll({ type: 'order', node: control.node, channels: samples }).catch(() => {
      // Redis is away. The next check is due later.
    })
  }

  #received({ node, channels }: ControlMessageOf<'order'>): void {
    this.#wait()
    if (node === this.#host.control.node || this.#host.beacons.isSeparate) return
    for (const [channel, first, last, hash] of channels) {
      const [after, upTo] = [parsePosition(first), parsePosition(last)]
      const own = after && upTo && this.#entriesOf(channel, after, upTo)
      if (own && hashOf(own) !== hash) return this.#differs(channel, node)
    }
  }

  /** The messages after one position up to another; `null` if this node does not have all of them. */
  #entriesOf(name: string, after: Position, upTo: Position): Entry[] | null {
    const log = this.#host.channels.get(name)?.logCovering(after)
    if (log == null || !isSameRun(after.beacon, upTo.beacon)) return null
    // The other node had received the messages before it sent the check, so they come before the check.
    return log.after(after).filter((entry) => comparePositions(entry, upTo) <= 0)
  }

  #differs(channel: string, node: string): void {
    const { beacons, logger } = this.#host
    logger.error(
      { event: 'orderDiffers', channel, node },
      'Nodes do not receive messages in the same order: clients are told of a gap when they move to another node. The server for pub/sub must be one Redis (or Valkey) process, or a Redis Cluster that is given as such',
    )
    beacons.separate()
  }
}

/** Some channels that have a message in their log, at random. */
function pick(channels: ReadonlyMap<string, Channel>): Channel[] {
  const picked: Channel[] = []
  let seen = 0
  for (const channel of channels.values()) {
    if (channel.state !== 'live' || channel.log === null || channel.log.size === 0) continue
    // Each one that was seen so far is picked with the same probability.
    const place = picked.length < CHANNELS ? picked.length : Math.floor(Math.random() * (seen + 1))
    if (place < CHANNELS) picked[place] = channel
    seen += 1
  }
  return picked
}

type Sample = ControlMessageOf<'order'>['channels'][number]

function sample(name: string, log: ChannelLog): Sample {
  const entries = log.after(log.start)
  const last = entries.slice(-MESSAGES)
  const start = entries[entries.length - last.length - 1] ?? log.start
  return [name, formatPosition(positionOf(start)), formatPosition(positionOf(last.at(-1)!)), hashOf(last)]
}

function hashOf(entries: readonly Entry[]): string {
  const hash = createHash('sha256')
  for (const entry of entries) hash.update(`${formatPosition(entry)} ${entry.json}\n`)
  return hash.digest('base64url').slice(0, 22)
}
