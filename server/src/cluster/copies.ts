import type { Channel } from '../channels/channel.ts'
import type { ControlMessageOf } from '../control/control.ts'
import { logFailure } from '../errors.ts'
import type { EventLogger } from '../logger.ts'
import { uptimeMs } from '../time/uptime.ts'
import type { Beacons } from './beacons.ts'
import type { ControlChannels } from './controlChannels.ts'
import { HeldCopies, type HeldCopiesHost } from './heldCopies.ts'
import { Partner } from './partner.ts'
import { Rendezvous } from './rendezvous.ts'

/** How often this node looks for channels without enough copies, on average. */
const ROUND_MS = 500
/** The maximum delay of a round that cannot wait for the next regular one. */
const SOON_MS = 100
/** How often this node announces itself and reads the list of nodes, and how long an announcement lasts. */
const MEET_MS = 2000
const ANNOUNCED_MS = 6000
/** A partner that is missing in the list of nodes for this time does not count any more. The list may have been lost. */
const MISSING_MS = 3000
/** How long to wait for an answer before another node is asked. */
const ANSWER_MS = 5000
/** How long a node is not asked again after it was full, did not answer, or said that it will end. */
const AVOID_MS = 5000

/** The options of copies, and what they need of the hub. */
export interface CopiesOptions {
  /** The number of nodes that hold each channel, including the one that its clients are on. */
  readonly number: number
  /** How long a channel without listeners is retained, in ms. */
  readonly retentionMs: number
  /** Retains a channel for another node, until {@link letGo}. `null` if it cannot be held. */
  retain(channel: string): Channel | null
  /** Releases a retained channel. Its retention time continues, unless the caller changes `idleSince`. */
  letGo(channel: Channel): void
}

/** What {@link Copies} needs of its order. */
export interface CopiesHost extends CopiesOptions, HeldCopiesHost {
  readonly control: ControlChannels
  readonly beacons: Beacons
  readonly channels: ReadonlyMap<string, Channel>
  readonly logger: EventLogger
  /** See `Backend.meet`. */
  meet(ttlMs: number): Promise<readonly string[]>
}

export interface CopyStats {
  /** The number of channels that this node holds for other nodes. */
  readonly copiedChannels: number
  /** The number of channels with listeners on this node that fewer nodes hold than `recovery.copies`. */
  readonly uncopiedChannels: number
}

/**
 * Has other nodes hold the channels of this node too, so that a node that is killed takes no log with it. The copies of a channel
 * are on the first nodes of its ranking, see {@link Rendezvous}.
 *
 * A channel that other nodes hold for their own clients has copies too: these nodes can let go of it at any time, and a copy
 * is bound to this node. All holders of a channel use the same ranking. So together they need only one or two nodes more.
 *
 * Everything is done in rounds, for all channels together: one message goes to each partner, and nothing to all nodes. A
 * message has only the channels that have changed.
 */
export class Copies {
  readonly #host: CopiesHost
  readonly #held: HeldCopies
  readonly #partners = new Map<string, Partner>()
  readonly #partnersOf = new Map<Channel, readonly Partner[]>()
  /** The other nodes, from the last list. */
  #others: readonly string[] = []
  #metAt = -Infinity
  /** Whether channels wait until a partner has answered. */
  #isWaiting = false
  /** Until when nodes are not asked. */
  readonly #avoided = new Map<string, number>()
  /** Increases over all partners. So a message to a new partner never has the number of an earlier one. */
  #lastSeq = 0
  #timer: NodeJS.Timeout | undefined
  #isInRound = false
  #isSoon = false
  #isLeaving = false
  #isClosed = false

  constructor(host: CopiesHost) {
    this.#host = host
    this.#held = new HeldCopies(host)
    host.control.register({ copied: (answer) => this.#receive(answer) })
    this.#wait()
  }

  stats(): CopyStats {
    let uncopiedChannels = 0
    for (const channel of this.#host.channels.values()) {
      if (!isListened(channel)) continue
      const partners = this.#partnersOf.get(channel) ?? []
      const confirmed = partners.filter(({ channels }) => channels.get(channel) === true)
      if (confirmed.length < this.#wanted) uncopiedChannels += 1
    }
    return { copiedChannels: this.#held.size, uncopiedChannels }
  }

  /** This node will end. From now on, other nodes do not count on it. Its own channels still get copies. */
  async leave(): Promise<void> {
    this.#isLeaving = true
    this.#metAt = -Infinity
    await Promise.all([this.#meet(), this.#held.leave()])
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
    this.#held.close()
  }

  /** The number of other nodes that must hold each channel. */
  get #wanted(): number {
    return this.#host.number - 1
  }

  #wait(): void {
    if (this.#isClosed) return
    const delayMs = this.#isSoon ? SOON_MS * Math.random() : ROUND_MS * (0.5 + Math.random())
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#round(), delayMs).unref()
  }

  /** A channel has lost a copy. */
  #hurry(): void {
    if (this.#isSoon) return
    this.#isSoon = true
    if (!this.#isInRound) this.#wait()
  }

  async #round(): Promise<void> {
    this.#isSoon = false
    this.#isInRound = true
    try {
      await this.#meet()
      await this.#check()
      if (this.#isClosed) return
      this.#release()
      if (!this.#host.beacons.isSeparate) this.#ask()
      for (const partner of this.#partners.values()) this.#send(partner)
    } catch (error) {
      logFailure(this.#host.logger, 'copiesUnchecked', error, 'Copies could not be checked')
    } finally {
      this.#isInRound = false
      this.#wait()
    }
  }

  /** Announces this node, and reads the list of nodes. */
  async #meet(): Promise<void> {
    const now = uptimeMs()
    // While there are too few nodes, a new one is noticed at once.
    if (now - this.#metAt < MEET_MS && this.#others.length >= this.#wanted) return
    const { control } = this.#host
    try {
      const nodes = await this.#host.meet(this.#isLeaving ? 0 : ANNOUNCED_MS)
      this.#metAt = now
      this.#others = nodes.filter((node) => node !== control.node)
      for (const node of nodes) {
        const partner = this.#partners.get(node)
        if (partner) partner.seenAt = now
      }
    } catch (error) {
      // The last list is used until Redis accepts commands again.
      logFailure(this.#host.logger, 'nodesUnread', error, 'The list of nodes could not be read')
    }
  }

  /** Gives up the partners that are gone. Redis knows which nodes are connected, before their announcements end. */
  async #check(): Promise<void> {
    const now = uptimeMs()
    const nodes = [...new Set([...this.#partners.keys(), ...this.#others])]
    const areSubscribed = await this.#host.control.areSubscribed(nodes)
    const living = new Set(nodes.filter((_, i) => areSubscribed[i]))
    this.#others = this.#others.filter((node) => living.has(node))
    for (const partner of this.#partners.values()) {
      const isMissing = this.#metAt - partner.seenAt >= MISSING_MS
      if (!living.has(partner.node) || isMissing) this.#lose(partner)
      // Another node is asked. If this one holds the channels nevertheless, it must let go of them.
      // Without another node, a busy one gets more time: to begin again would only make it busier.
      const overdue = this.#hasOtherThan(partner.node) ? partner.overdue(now - ANSWER_MS) : []
      if (overdue.length > 0) this.#avoid(partner.node)
      for (const channel of overdue) this.#drop(channel, partner)
    }
  }

  #hasOtherThan(node: string): boolean {
    return this.#others.some((other) => other !== node && !this.#avoided.has(other))
  }

  /** Ends the copies of channels that this node does not need any more. */
  #release(): void {
    const { channels, retentionMs } = this.#host
    const now = uptimeMs()
    for (const [channel, partners] of this.#partnersOf) {
      const isHeld = channels.get(channel.name) === channel
      // The node may hold the channel only for another node now, which has copies of its own.
      if (isHeld && (isListened(channel) || now - channel.idleSince < retentionMs)) continue
      for (const partner of partners) this.#drop(channel, partner)
    }
  }

  /** Asks other nodes to hold the channels that have too few copies. */
  #ask(): void {
    const now = uptimeMs()
    this.#isWaiting = false
    for (const [node, until] of this.#avoided) if (until <= now) this.#avoided.delete(node)
    const ranking = new Rendezvous(this.#others.filter((node) => !this.#avoided.has(node)))
    for (const channel of this.#host.channels.values()) {
      const partners = this.#partnersOf.get(channel) ?? []
      const missing = this.#wanted - partners.length
      if (missing <= 0 || !this.#needsCopies(channel)) continue
      if (channel.state !== 'live' || channel.log === null) continue
      const isPartner = (node: string): boolean => partners.some((partner) => partner.node === node)
      for (const node of ranking.pick(channel.name, missing, isPartner)) this.#askNode(channel, node, now)
    }
  }

  #needsCopies(channel: Channel): boolean {
    if (isListened(channel)) return true
    // A node that will end hands over the logs that it retains for clients that may come back. If another node still needs the
    // copy, it asks for another one itself.
    return this.#isLeaving && !this.#held.isHeldFor(this.#others, channel.name)
  }

  #askNode(channel: Channel, node: string, now: number): void {
    const partner = this.#partners.get(node) ?? new Partner(node, now)
    if (!partner.hasRoom) {
      this.#isWaiting = true
      return
    }
    this.#partners.set(node, partner)
    this.#partnersOf.set(channel, [...(this.#partnersOf.get(channel) ?? []), partner])
    partner.ask(channel)
  }

  #send(partner: Partner): void {
    const { control } = this.#host
    for (const message of partner.messages(control.node, uptimeMs(), () => ++this.#lastSeq)) {
      // If Redis is unavailable, it is not known whether the message arrives. So the next message begins again.
      control.publishToNode(partner.node, message).then(
        (receivers) => {
          if (receivers === 0) this.#lose(partner)
        },
        () => this.#lose(partner),
      )
    }
    if (partner.isDone) this.#partners.delete(partner.node)
  }

  #receive(answer: ControlMessageOf<'copied'>): void {
    const partner = this.#partners.get(answer.node)
    if (partner?.hasSent(answer.seq) !== true) return
    if (answer.state === 'leaving') this.#avoid(answer.node)
    if (answer.state !== 'done') return this.#lose(partner)
    const refused = partner.answered(answer)
    if (refused.length > 0) this.#avoid(answer.node)
    for (const channel of refused) this.#forget(channel, partner)
    if (refused.length > 0 || this.#isWaiting) this.#hurry()
  }

  /**
   * The partner does not hold its channels any more, or only until it ends. In the next round other nodes are asked, or this
   * one again.
   */
  #lose(partner: Partner): void {
    if (this.#partners.get(partner.node) !== partner) return
    this.#partners.delete(partner.node)
    for (const channel of partner.channels.keys()) this.#forget(channel, partner)
    this.#hurry()
  }

  #avoid(node: string): void {
    this.#avoided.set(node, uptimeMs() + AVOID_MS)
  }

  #drop(channel: Channel, partner: Partner): void {
    this.#forget(channel, partner)
    partner.drop(channel)
  }

  #forget(channel: Channel, partner: Partner): void {
    partner.channels.delete(channel)
    const rest = (this.#partnersOf.get(channel) ?? []).filter((other) => other !== partner)
    if (rest.length > 0) this.#partnersOf.set(channel, rest)
    else this.#partnersOf.delete(channel)
  }
}

/** Whether a client of this node has the channel: a socket, a waiting poll, or a long-poll session between two polls. */
function isListened({ subscribers, logReaders, readers }: Channel): boolean {
  if (subscribers.size > 0 || logReaders.size > 0) return true
  for (const { isClient } of readers) if (isClient) return true
  return false
}
