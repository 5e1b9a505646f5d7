import type { Cluster } from 'ioredis'
import { deferred } from '@broadcaster/protocol'
import type { ControlCodec } from '../control/codec.ts'
import { BroadcasterError } from '../errors.ts'
import type { EventLogger } from '../logger.ts'
import { pause } from '../time/pause.ts'
import { uptimeMs } from '../time/uptime.ts'
import type { BackendReceiver } from './backend.ts'
import type { Ioredis } from './ioredis.ts'
import { namesOfOnlyOrder, namesOfOrder } from './orderNames.ts'
import { RedisBroker } from './redisBroker.ts'
import type { RedisConnection } from './redisConnection.ts'
import type { RedisLinks } from './redisLinks.ts'
import { isMoved } from './redisReplies.ts'
import type { Names } from './redisRights.ts'
import { SlotOwner } from './slotOwner.ts'
import { slotOf } from './slots.ts'
import { Topology } from './topology.ts'

/** How often all servers are asked which slots they own. */
const REFRESH_MS = 1000
/** While slots move, servers are asked again after this time. */
const AGAIN_MS = 100
/** How long a message is sent again while its slot moves. */
const PUBLISH_MS = 3000

export interface ClusterBrokersOptions {
  readonly names: Names
  readonly links: RedisLinks
  readonly codec: ControlCodec
  readonly logger: EventLogger
  /** The connections to all servers of the Cluster. */
  readonly cluster: RedisConnection
}

/**
 * The brokers of a Redis Cluster: one for each master. If the servers have no sharded pub/sub (before Redis 7), or if the
 * namespace has a hash tag, there is only one: the owner of the slot of the beacon's key.
 */
export class ClusterBrokers {
  readonly #options: ClusterBrokersOptions
  readonly #topology: Topology
  /** By control slot. The key of the only broker is `null`. */
  readonly #brokers = new Map<number | null, RedisBroker>()
  readonly #opened = deferred()
  #receiver: BackendReceiver | null = null
  #ioredis: Ioredis | null = null
  #timer: NodeJS.Timeout | null = null
  #soon: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(options: ClusterBrokersOptions) {
    this.#options = options
    this.#topology = new Topology({
      cluster: () => this.#cluster,
      onlySlot: slotOf(namesOfOnlyOrder(options.names).beaconKey),
      // A hash tag in the namespace would determine the slot of every name.
      mayHaveSeveral: !options.names.namespace.includes('{'),
      changed: () => this.#arrange(),
    })
  }

  /** Resolves when the brokers are known. */
  get opened(): Promise<void> {
    return this.#opened.promise
  }

  /** The connections of the Cluster will be established by the caller. */
  start(receiver: BackendReceiver, ioredis: Ioredis | null): void {
    this.#receiver = receiver
    this.#ioredis = ioredis
    this.#cluster.once('ready', () => void this.#topology.refresh())
    this.#timer = setInterval(() => {
      if (this.#options.cluster.isReady) void this.#topology.refresh()
    }, REFRESH_MS).unref()
  }

  brokerOf(channel: string): RedisBroker | null {
    const slot = this.#topology.controlSlotOf(channel)
    if (slot === null) return null
    return this.#brokers.get(this.#topology.isSharded ? slot : null) ?? null
  }

  /** Publishes at the server that owns the slot of the channel. */
  async publish(channel: string, body: string | Buffer): Promise<number> {
    const end = uptimeMs() + PUBLISH_MS
    for (;;) {
      const broker = this.brokerOf(channel)
      try {
        if (broker === null) throw new BroadcasterError('brokerUnavailable', NO_BROKER)
        return await broker.publish(channel, body)
      } catch (error) {
        // A server that refuses the message because of its slot has not published it.
        const mayRetry = (broker === null || isMoved(error)) && uptimeMs() < end && !this.#isClosed
        if (!mayRetry) throw error
        await this.#topology.refresh()
        await pause(AGAIN_MS)
      }
    }
  }

  close(): void {
    this.#isClosed = true
    if (this.#timer !== null) clearInterval(this.#timer)
    clearTimeout(this.#soon)
  }

  get #cluster(): Cluster {
    return this.#options.cluster.client as Cluster
  }

  #arrange(): void {
    if (this.#isClosed) return
    const { controlSlots, isSharded } = this.#topology
    const wanted = new Set<number | null>(isSharded ? controlSlots : [null])
    const gone = [...this.#brokers].filter(([slot]) => !wanted.has(slot))
    for (const [slot] of gone) this.#brokers.delete(slot)
    for (const slot of wanted) if (!this.#brokers.has(slot)) this.#open(slot)
    // Channels go directly from the old broker to the new one.
    this.#receiver!.rearranged()
    for (const [, broker] of gone) {
      this.#receiver!.closed(broker)
      broker.close()
    }
    this.#opened.resolve()
  }

  #open(slot: number | null): void {
    const { links, codec, logger, names } = this.#options
    const ofOrder = slot === null ? namesOfOnlyOrder(names) : namesOfOrder(names, slot)
    const owner = new SlotOwner(slot ?? slotOf(ofOrder.beaconKey), () => this.#cluster)
    const broker = new RedisBroker({
      links,
      names: ofOrder,
      codec: slot === null ? codec : codec.fork(),
      logger,
      server: { kind: slot === null ? 'meeting' : 'shard', owner },
      moved: () => void this.#moved(),
    })
    this.#brokers.set(slot, broker)
    broker.connect(this.#receiver!.opened(broker), this.#ioredis)
  }

  /**
   * A server says that channels belong to another one. As long as no other server says that it owns their slots, the
   * channels have no broker.
   */
  async #moved(): Promise<void> {
    await this.#topology.refresh()
    if (this.#isClosed || this.#receiver!.rearranged() || this.#soon !== undefined) return
    this.#soon = setTimeout(() => {
      this.#soon = undefined
      void this.#moved()
    }, AGAIN_MS)
  }
}

const NO_BROKER = 'The server of the Cluster that owns the slot of the channel is not known: nothing was sent'
