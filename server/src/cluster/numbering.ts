import type { Beacons } from './beacons.ts'
import type { Channel } from '../channels/channel.ts'
import { isSameRun } from '../channels/position.ts'
import type { ControlChannels } from './controlChannels.ts'
import type { EventLogger } from '../logger.ts'

/** What {@link Numbering} needs of its order. */
export interface NumberingHost {
  readonly beacons: Beacons
  readonly control: ControlChannels
  readonly channels: ReadonlyMap<string, Channel>
  readonly logger: EventLogger
  /** The channels can be counted from the current beacon on. */
  begin(channels: readonly Channel[]): void
}

/**
 * Decides from which beacon the messages of a channel are counted: the first one that is received after the broker has
 * confirmed the channel. All nodes count from the same beacons, so a message has the same position on every node.
 */
export class Numbering {
  readonly #host: NumberingHost
  /** Channels that the broker has confirmed, and that wait for a beacon. */
  readonly #waiting = new Set<Channel>()

  constructor(host: NumberingHost) {
    this.#host = host
    host.control.register({ beacon: ({ number }) => this.#received(number) })
  }

  /** The channels are confirmed: they are counted from the next beacon on, of any node. */
  awaitBeacon(channels: readonly Channel[]): void {
    for (const channel of channels) this.#waiting.add(channel)
    this.#host.beacons.need()
  }

  /** The node no longer holds the channels. */
  forget(channels: readonly Channel[]): void {
    for (const channel of channels) this.#waiting.delete(channel)
  }

  /** The connection to the broker broke, or is new: no channel is confirmed on it. */
  reset(): void {
    this.#waiting.clear()
    this.#host.beacons.interrupt()
  }

  /** The connection broke. The messages of all channels cannot be counted until the next beacon on a new connection. */
  interrupt(): void {
    for (const channel of this.#host.channels.values()) channel.broken(this.#host.beacons.current)
  }

  #received(received: number): void {
    const { beacons } = this.#host
    if (!beacons.counts(received)) return
    const beacon = beacons.own(received)
    const before = beacons.current
    if (!beacons.advance(beacon)) {
      // The broker has lost its last number, and its clock is behind. Nodes that did not know the last number count from the
      // lower beacon, also if they make the same number again. So positions of this run cannot be compared any more.
      if (beacon <= before) {
        beacons.endRun()
        this.#renumber(before)
      }
      return
    }
    // A connection normally does not survive a restart of the broker. If it did, or if the run before is over, the
    // positions so far cannot be compared.
    if (!isSameRun(before, beacon)) this.#renumber(before)
    const begun = [...this.#waiting]
    this.#waiting.clear()
    this.#host.begin(begun)
    beacons.reached()
  }

  #renumber(last: number): void {
    const counting = [...this.#host.channels.values()].filter(({ state }) => state !== 'joining')
    if (counting.length === 0) return
    this.#host.logger.warn(
      { event: 'renumbered', beacon: last },
      'The beacon number of Redis went backwards: positions are renumbered',
    )
    for (const channel of counting) channel.broken(last)
    this.awaitBeacon(counting)
  }
}
