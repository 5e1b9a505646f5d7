import type { ControlCodec } from '../control/codec.ts'
import { BroadcasterError } from '../errors.ts'
import type { EventLogger } from '../logger.ts'
import type { Beacon, Broker, BrokerReceiver } from './backend.ts'
import { ClusterOrder } from './clusterOrder.ts'
import type { Ioredis } from './ioredis.ts'
import type { OrderNames } from './orderNames.ts'
import { RedisBeacons } from './redisBeacons.ts'
import type { ClientSource } from './redisClients.ts'
import { troubleOf, type Link, type RedisLinks } from './redisLinks.ts'
import { failure, isDenied, isMoved } from './redisReplies.ts'
import {
  explainChannel,
  publisherSteps,
  serverSteps,
  shardSteps,
  subscriberSteps,
  type Step,
} from './redisRights.ts'
import { writeCheck } from './redisTrouble.ts'
import { ShardSubscriptions } from './shardSubscriptions.ts'
import type { SlotOwner } from './slotOwner.ts'
import { subscribeEach } from './subscribeEach.ts'

/** The maximum number of refused channels that are logged by name. */
const MAX_LOGGED_CHANNELS = 100

export interface RedisBrokerOptions {
  readonly links: RedisLinks
  readonly names: OrderNames
  readonly codec: ControlCodec
  readonly logger: EventLogger
  /** Makes the clients; or the owner of the slot of the beacon's key, to which they connect. */
  readonly server:
    | { readonly kind: 'single'; readonly source: ClientSource }
    | { readonly kind: 'meeting' | 'shard'; readonly owner: SlotOwner }
  /** The further commands for which the connection for commands is used. */
  furtherSteps?(): readonly Step[]
  /** Channels of this broker belong to another server of the Cluster now. */
  moved?(): void
}

/**
 * One server for pub/sub, with a connection for subscriptions and one for PUBLISH. In a Redis Cluster, both lead to the
 * owner of one slot (see {@link ClusterOrder}). With sharded pub/sub, each channel is subscribed with SUBSCRIBE and with
 * SSUBSCRIBE, so messages of PUBLISH and of SPUBLISH arrive in one order.
 */
export class RedisBroker implements Broker {
  /** The connection for commands. */
  readonly publisher: Link
  readonly #options: RedisBrokerOptions
  readonly #subscriber: Link
  readonly #order: ClusterOrder | null
  readonly #shard: ShardSubscriptions | null
  readonly #beacons: RedisBeacons
  readonly #refusedChannels = new Set<string>()
  #receiver: BrokerReceiver | null = null
  #isUp = false

  constructor(options: RedisBrokerOptions) {
    this.#options = options
    const { links, names, codec, server, furtherSteps } = options
    const owner = server.kind === 'single' ? null : server.owner
    const sourceOf = (kind: 'subscriber' | 'commands'): ClientSource =>
      server.kind === 'single' ? server.source : (_, role) => server.owner.client(role, kind)
    const further = server.kind === 'shard' ? () => shardSteps(names) : null
    this.#subscriber = links.add({
      source: sourceOf('subscriber'),
      role: 'subscriber',
      steps: () => [...subscriberSteps(names), ...(further?.().subscriber ?? [])],
      write: null,
      ready: () => {
        this.#shard?.attach()
        if (this.#order === null) this.#up()
        else this.#order.arrived()
      },
      lost: () => this.#order?.lost(),
      down: (error) => this.#down(error),
    })
    this.publisher = links.add({
      source: sourceOf('commands'),
      role: 'commands',
      steps: () => [
        ...publisherSteps(names),
        ...(owner === null ? [] : serverSteps),
        ...(further?.().publisher ?? []),
        ...(furtherSteps?.() ?? []),
      ],
      write: (connection) => this.#order?.check() ?? writeCheck(connection, names),
      ready: () => this.#order?.publisherArrived(),
      lost: () => this.#order?.publisherLost(),
      refused: (error) => owner?.refused(error),
      ...(owner !== null && { isMoved: (error: Error) => owner.isRedirection(error.message) }),
      // Messages are now published to another server, so the subscriber has to move there too.
      moved: () => void this.#followPublisher(),
    })
    const [subscriber, publisher] = [this.#subscriber.connection, this.publisher.connection]
    const isShard = server.kind === 'shard'
    this.#shard = isShard ? new ShardSubscriptions(subscriber, (channels) => this.#moved(channels)) : null
    this.#order =
      owner === null
        ? null
        : new ClusterOrder({ subscriber, publisher, names, isShard, joined: () => this.#up() })
    this.#beacons = new RedisBeacons(publisher.commands, names, codec, server.kind)
  }

  get tag(): string {
    return this.#options.names.tag
  }

  get codec(): ControlCodec {
    return this.#options.codec
  }

  get isConnected(): boolean {
    return this.#subscriber.connection.isUsable && this.publisher.connection.isUsable
  }

  get trouble(): string | null {
    return troubleOf([this.#subscriber, this.publisher])
  }

  connect(receiver: BrokerReceiver, ioredis: Ioredis | null): void {
    this.#receiver = receiver
    this.#options.links.connect([this.#subscriber, this.publisher], ioredis)
    const { client } = this.#subscriber.connection
    const received = (channel: string, body: string): void => receiver.message(channel, body)
    client.on('message', received)
    if (this.#shard !== null) client.on('smessage', received)
  }

  async subscribe(channels: readonly string[]): Promise<readonly string[]> {
    const answers = await Promise.all([this.#subscribe(channels), this.#shard?.subscribe(channels)])
    const [refused, { denied, moved } = { denied: [], moved: [] }] = answers
    if (moved.length > 0) this.#moved(moved)
    for (const channel of denied) this.#logRefusedChannel(channel)
    return [...refused, ...denied]
  }

  async unsubscribe(channels: readonly string[]): Promise<void> {
    try {
      await Promise.all([
        this.#subscriber.connection.client.unsubscribe(...channels),
        this.#shard?.unsubscribe(channels),
      ])
    } catch (error) {
      throw failure(error)
    }
  }

  async #subscribe(channels: readonly string[]): Promise<readonly string[]> {
    const { client } = this.#subscriber.connection
    try {
      await client.subscribe(...channels)
      return []
    } catch (error) {
      if (!isDenied(error)) throw failure(error)
      // The missing permission may also be one that nodes need for themselves.
      this.#subscriber.trouble.note(error)
    }
    const refused = await subscribeEach(channels, (channel) => client.subscribe(channel))
    for (const channel of refused) this.#logRefusedChannel(channel)
    return refused
  }

  async publish(channel: string, body: string | Buffer): Promise<number> {
    try {
      return await (this.#order ?? this.publisher.connection.commands).publish(channel, body)
    } catch (error) {
      if (isMoved(error)) this.#options.moved?.()
      if (!isDenied(error)) throw error
      const text = explainChannel(this.publisher.trouble.user, channel)
      throw new BroadcasterError('brokerRefused', text, { cause: error })
    }
  }

  async countHolders(channels: readonly string[]): Promise<readonly number[]> {
    // The reply contains names and counts alternately.
    const reply = await this.publisher.connection.commands.pubsub('NUMSUB', ...channels)
    return channels.map((_, i) => Number(reply[2 * i + 1]))
  }

  beacon(floor: number, isOver: boolean): Promise<Beacon> {
    return this.#beacons.make(floor, isOver)
  }

  counts(beacon: number): boolean {
    return this.#order === null || this.#order.includes(beacon)
  }

  close(): void {
    for (const link of [this.#subscriber, this.publisher]) this.#options.links.remove(link)
  }

  /** The server owns the slots of these channels no longer. */
  #moved(channels: readonly string[]): void {
    // If the slot of the control channel is another server's, the connections have to lead there.
    if (channels.includes(this.#options.names.controlChannel)) this.#subscriber.connection.renew()
    this.#receiver!.moved(channels)
    this.#options.moved?.()
  }

  /** The subscriber connection can subscribe. */
  #up(): void {
    this.#isUp = true
    this.#receiver!.up()
  }

  #down(error: Error): void {
    if (!this.#isUp) return
    this.#isUp = false
    this.#receiver!.down(error)
  }

  /**
   * Moves the subscriber to the server to which messages are published. If the servers cannot be compared, the
   * subscriber reconnects.
   */
  async #followPublisher(): Promise<void> {
    const [publisher, subscriber] = [this.publisher.connection, this.#subscriber.connection]
    const [here, there] = await Promise.all([publisher.runId(), subscriber.runId()])
    if (here === null || here !== there) subscriber.renew()
  }

  /** Logs a refused channel once, and logs only a limited number of channels, because clients can invent names. */
  #logRefusedChannel(channel: string): void {
    const { controlChannel, namespace } = this.#options.names
    // A refused control channel is reported by `Trouble`, as a missing right of the node.
    if (channel === controlChannel || channel.startsWith(namespace)) return
    if (this.#refusedChannels.has(channel) || this.#refusedChannels.size >= MAX_LOGGED_CHANNELS) return
    this.#refusedChannels.add(channel)
    const isLast = this.#refusedChannels.size === MAX_LOGGED_CHANNELS
    const text = explainChannel(this.#subscriber.trouble.user, channel)
    this.#options.logger.warn(
      { event: 'channelRefusedByRedis', channel },
      isLast ? `${text}; further ones are not logged` : text,
    )
  }
}
