import type { Channel } from '../channels/channel.ts'
import { parsePosition, type Position } from '../channels/position.ts'
import type { ControlMessageOf } from '../control/control.ts'
import { isUtf8 } from '../input/text.ts'
import { Deadline } from '../time/deadline.ts'
import { uptimeMs } from '../time/uptime.ts'
import type { ControlChannels } from './controlChannels.ts'
import type { CopiesOptions } from './copies.ts'
import type { Located, Seeker } from './recovery.ts'

/** A lease ends after this number of ticks without a message of the other node. */
const LEASE_TICKS = 10
/**
 * The time between two ticks. Ticks are counted, and not the time itself: if this process is suspended, the leases do not
 * all end before it has read the messages that renew them.
 */
const TICK_MS = 1000
/** How long to wait until a copy is complete. */
const COPY_MS = 4000

/** What {@link HeldCopies} needs of its order. */
export interface HeldCopiesHost extends Pick<CopiesOptions, 'retain' | 'letGo'> {
  readonly control: ControlChannels
  /** See `Recovery.locate`. */
  locate(channel: Channel, since: Position | null, seeker: Seeker): Promise<Located>
}

/** What this node holds for one other node. */
interface Lease {
  /** The number of the last message of the other node. */
  seq: number
  ticksLeft: number
  readonly channels: Map<string, Channel>
}

/**
 * The channels that this node holds for other nodes. The messages of each other node are numbered, so a lost message is
 * noticed at the next one. Then the other node begins again.
 *
 * If the other node ends the copy, nobody needs it any more. If the lease ends, the other node was killed, and its clients
 * may come back: the channel is retained for the usual time.
 */
export class HeldCopies {
  readonly #host: HeldCopiesHost
  readonly #leases = new Map<string, Lease>()
  /** Leases that were replaced when the other node began again. */
  readonly #replaced = new Set<Lease>()
  readonly #ticker: NodeJS.Timeout
  #isLeaving = false

  constructor(host: HeldCopiesHost) {
    this.#host = host
    host.control.register({ copy: (message) => this.#receive(message) })
    this.#ticker = setInterval(() => this.#tick(), TICK_MS)
    this.#ticker.unref()
  }

  /** The number of channels that are held for other nodes. */
  get size(): number {
    return new Set([...this.#leases.values()].flatMap(({ channels }) => [...channels.keys()])).size
  }

  /** Whether the channel is held for one of these nodes. */
  isHeldFor(nodes: readonly string[], channel: string): boolean {
    return nodes.some((node) => this.#leases.get(node)?.channels.has(channel))
  }

  /** This node will end. The other nodes have to find other nodes for their copies. */
  async leave(): Promise<void> {
    this.#isLeaving = true
    await Promise.all([...this.#leases].map(([node, { seq }]) => this.#answer(node, seq, 'leaving')))
  }

  close(): void {
    clearInterval(this.#ticker)
  }

  #receive(message: ControlMessageOf<'copy'>): void {
    const { node, seq, after, hold, drop } = message
    const known = this.#leases.get(node)
    // Messages can arrive twice, or late.
    if (known !== undefined && seq <= known.seq) return
    if (this.#isLeaving) return void this.#answer(node, seq, 'leaving')
    if (after !== 0 && after !== known?.seq) return void this.#answer(node, seq, 'lost')
    if (after === 0 && known !== undefined) this.#replaced.add(known)
    const lease = after === 0 || known === undefined ? newLease() : known
    this.#leases.set(node, lease)
    lease.seq = seq
    lease.ticksLeft = LEASE_TICKS
    for (const name of drop) this.#drop(lease, name)
    if (hold.length > 0) void this.#hold(lease, message)
  }

  async #hold(lease: Lease, { node, seq, hold }: ControlMessageOf<'copy'>): Promise<void> {
    const seeker = { owner: lease, deadline: new Deadline(COPY_MS), node, isSession: true }
    const areHeld = await Promise.all(hold.map(([name, start]) => this.#copy(lease, name, start, seeker)))
    const refused = areHeld.flatMap((isHeld, index) => (isHeld ? [] : [index]))
    await this.#answer(node, seq, 'done', refused)
  }

  /** Resolves with whether the channel is held, when its log is as complete as it can be. */
  async #copy(lease: Lease, name: string, start: string, seeker: Seeker): Promise<boolean> {
    const channel = lease.channels.get(name) ?? (isUtf8(name) ? this.#host.retain(name) : null)
    if (channel === null) return false
    lease.channels.set(name, channel)
    const located = await this.#host.locate(channel, parsePosition(start), seeker)
    const isHeld = located !== 'away' && !channel.isRefused
    if (!isHeld && lease.channels.get(name) === channel) this.#drop(lease, name)
    return isHeld
  }

  /** The other node does not need the copy any more. Without other uses, the channel is removed at the next sweep. */
  #drop(lease: Lease, name: string): void {
    const channel = lease.channels.get(name)
    lease.channels.delete(name)
    if (channel !== undefined) this.#host.letGo(channel)
  }

  #tick(): void {
    for (const [node, lease] of this.#leases) if (this.#isOver(lease)) this.#leases.delete(node)
    for (const lease of this.#replaced) if (this.#isOver(lease)) this.#replaced.delete(lease)
  }

  /** Counts one tick. Releases the channels if it was the last one. */
  #isOver(lease: Lease): boolean {
    if (--lease.ticksLeft > 0) return false
    const now = uptimeMs()
    for (const channel of lease.channels.values()) {
      this.#host.letGo(channel)
      channel.idleSince = now
    }
    lease.channels.clear()
    return true
  }

  async #answer(
    node: string,
    seq: number,
    state: ControlMessageOf<'copied'>['state'],
    refused: readonly number[] = [],
  ): Promise<void> {
    const { control } = this.#host
    // If it cannot be sent, the other node waits for it in vain, and asks another node.
    await control
      .publishToNode(node, { type: 'copied', node: control.node, seq, state, refused })
      .catch(() => {})
  }
}

function newLease(): Lease {
  return { seq: 0, ticksLeft: LEASE_TICKS, channels: new Map() }
}
