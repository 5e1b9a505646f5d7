import type { ControlCodec } from '../control/codec.ts'
import { BroadcasterError, closed } from '../errors.ts'
import type { Logger } from '../logger.ts'
import type { RedisTarget } from '../options.ts'
import type { Cluster } from 'ioredis'
import type { Backend, BackendReceiver, Beacon } from './backend.ts'
import { ClusterOrder } from './clusterOrder.ts'
import { isClusterTarget, isInstance, loadIoredis, type Ioredis } from './ioredis.ts'
import { beaconKeyOf, RedisBeacons } from './redisBeacons.ts'
import { clientsOf, type ClientSource } from './redisClients.ts'
import { RedisConnection, type ConnectionEvents } from './redisConnection.ts'
import { failure, isDenied, isRefusal, isReply } from './redisReplies.ts'
import {
  dataSteps,
  explainChannel,
  explainMissing,
  publisherSteps,
  serverSteps,
  subscriberSteps,
  type Names,
} from './redisRights.ts'
import { Outage } from './redisOutage.ts'
import { RedisRevocations } from './redisRevocations.ts'
import { RedisSessions } from './redisSessions.ts'
import { Trouble, writeCheck } from './redisTrouble.ts'
import { SlotOwner } from './slotOwner.ts'
import { slotOf } from './slots.ts'

export interface RedisBackendOptions {
  readonly redis: RedisTarget
  readonly pubSub: RedisTarget
  readonly controlChannel: string
  readonly controlNamespace: string
  readonly timeoutMs: number
  readonly logger: Logger
  readonly codec: ControlCodec
}

/** How often the backend checks whether Redis can do everything that is needed. */
const CHECK_INTERVAL_MS = 1000
/** The maximum number of refused channels that are logged by name. */
const MAX_LOGGED_CHANNELS = 100

/**
 * The backend for Redis, through ioredis. It has three connections: for subscriptions, for PUBLISH and for data. On a
 * Redis Cluster, the first two lead to one server (see {@link ClusterOrder}), and the third one to all servers.
 */
export class RedisBackend implements Backend {
  readonly sessions: RedisSessions
  readonly #options: RedisBackendOptions
  readonly #subscriber: RedisConnection
  readonly #publisher: RedisConnection
  readonly #data: RedisConnection
  /** The connections to all servers of the Cluster that is used for pub/sub; `null` if it is a single Redis. */
  readonly #cluster: RedisConnection | null
  readonly #owner: SlotOwner | null = null
  readonly #order: ClusterOrder | null = null
  readonly #troubles = new Map<RedisConnection, Trouble>()
  readonly #outage: Outage
  readonly #beacons: RedisBeacons
  readonly #revocations: RedisRevocations
  #receiver: BackendReceiver | null = null
  #refuse: (error: Error) => void = () => {}
  #checks: NodeJS.Timeout | null = null
  readonly #refusedChannels = new Set<string>()
  /**
   * Whether this node has removed nodes that are gone from the list of nodes. Once is enough: each node that was killed
   * had started before, so the list does not grow.
   */
  #hasRemovedGone = false
  #isUp = false
  #isClosed = false

  constructor(options: RedisBackendOptions) {
    const { redis, pubSub, controlNamespace: namespace, controlChannel, timeoutMs, logger } = options
    this.#options = options
    this.#outage = new Outage(logger)
    const names = { namespace, controlChannel }
    const connect = (source: ClientSource, role: 'subscriber' | 'commands'): RedisConnection => {
      const connection: RedisConnection = new RedisConnection(
        source,
        role,
        this.#eventsOf(() => connection),
      )
      return connection
    }
    if (isClusterTarget(pubSub)) {
      const cluster = (this.#cluster = connect(clientsOf(pubSub), 'commands'))
      const owner = (this.#owner = new SlotOwner(slotOf(beaconKeyOf(names)), () => cluster.client as Cluster))
      const source: ClientSource = (_, role) => owner.client(role)
      const subscriber = (this.#subscriber = connect(source, 'subscriber'))
      const publisher = (this.#publisher = connect(source, 'commands'))
      this.#data = pubSub === redis ? cluster : connect(clientsOf(redis), 'commands')
      this.#order = new ClusterOrder({ subscriber, publisher, names, joined: () => this.#up() })
    } else {
      this.#cluster = null
      this.#subscriber = connect(clientsOf(pubSub), 'subscriber')
      this.#publisher = connect(clientsOf(pubSub), 'commands')
      this.#data = pubSub === redis ? this.#publisher : connect(clientsOf(redis), 'commands')
    }
    this.#revocations = new RedisRevocations(this.#data.commands, namespace)
    const runOf = this.#order === null ? 'process' : 'holder'
    this.#beacons = new RedisBeacons(this.#publisher.commands, names, options.codec, runOf)
    for (const connection of this.#connections()) {
      const trouble = new Trouble({
        connection,
        names,
        logger,
        write: this.#writeOf(connection, names),
        steps: () => [
          ...(connection === this.#subscriber ? subscriberSteps(names) : []),
          ...(connection === this.#publisher ? publisherSteps(names) : []),
          ...(connection === this.#publisher && this.#order !== null ? serverSteps : []),
          ...(connection === this.#data ? dataSteps(names) : []),
        ],
        // Messages are now published to another server, so the subscriber has to move there too.
        moved: () => {
          if (connection === this.#publisher) void this.#followPublisher()
        },
      })
      this.#troubles.set(connection, trouble)
    }
    this.sessions = new RedisSessions(this.#data.commands, namespace, timeoutMs, isClusterTarget(redis))
  }

  get isConnected(): boolean {
    return [...this.#connections()].every(({ isUsable }) => isUsable)
  }

  get trouble(): string | null {
    for (const [{ isReady, canWait }, { code }] of this.#troubles) {
      // The trouble lasts while its connection is renewed, to find a new master.
      if ((isReady || canWait) && code !== null) return `Redis says ${code}`
    }
    return null
  }

  async start(receiver: BackendReceiver): Promise<void> {
    this.#receiver = receiver
    const refused = new Promise<never>((_, reject) => (this.#refuse = reject))
    const { redis, pubSub } = this.#options
    const ioredis = isInstance(redis) && isInstance(pubSub) ? null : await loadIoredis()
    if (this.#isClosed) throw closed()
    const cluster = this.#cluster
    if (cluster === null) this.#connectOrder(ioredis)
    if (this.#data !== this.#publisher) this.#data.connect(ioredis)
    if (cluster !== null && cluster !== this.#data) cluster.connect(ioredis)
    // A client of a single server is made from one of the Cluster's own clients.
    cluster?.client.once('ready', () => this.#connectOrder(ioredis))
    this.#checks = setInterval(() => this.#check(), CHECK_INTERVAL_MS)
    this.#checks.unref()
    await Promise.race([refused, this.#checkRights()])
  }

  counts(beacon: number): boolean {
    return this.#order === null || this.#order.includes(beacon)
  }

  async subscribe(channels: readonly string[]): Promise<readonly string[]> {
    const { client } = this.#subscriber
    try {
      await client.subscribe(...channels)
      return []
    } catch (error) {
      if (!isDenied(error)) throw failure(error)
      // The missing permission may also be one that nodes need for themselves.
      this.#troubles.get(this.#subscriber)!.note(error)
    }
    // If Redis refuses one channel, it refuses the whole command. So each channel is now tried alone.
    const answers = await Promise.allSettled(channels.map((channel) => client.subscribe(channel)))
    const failed = answers.find((answer) => answer.status === 'rejected' && !isDenied(answer.reason))
    if (failed !== undefined) throw failure((failed as PromiseRejectedResult).reason)
    const refused = channels.filter((_, i) => answers[i]!.status === 'rejected')
    for (const channel of refused) this.#logRefusedChannel(channel)
    return refused
  }

  async unsubscribe(channels: readonly string[]): Promise<void> {
    const { client } = this.#subscriber
    try {
      await client.unsubscribe(...channels)
    } catch (error) {
      throw failure(error)
    }
  }

  async publish(channel: string, body: string | Buffer): Promise<number> {
    try {
      return await (this.#order ?? this.#publisher.commands).publish(channel, body)
    } catch (error) {
      if (!isDenied(error)) throw error
      const text = explainChannel(this.#troubles.get(this.#publisher)!.user, channel)
      throw new BroadcasterError('brokerRefused', text, { cause: error })
    }
  }

  async countHolders(channels: readonly string[]): Promise<readonly number[]> {
    // The reply contains names and counts alternately.
    const reply = await this.#publisher.commands.pubsub('NUMSUB', ...channels)
    return channels.map((_, i) => Number(reply[2 * i + 1]))
  }

  beacon(floor: number): Promise<Beacon> {
    return this.#beacons.make(floor)
  }

  async report(node: string, connections: number, ttlMs: number): Promise<void> {
    const { commands } = this.#data
    await Promise.all([
      commands.set(this.#nodeKey(node), connections, 'PX', ttlMs),
      commands.sadd(this.#nodesKey, node),
    ])
    if (this.#hasRemovedGone) return
    const gone = (await this.#reports(node)).filter(([, count]) => count === null)
    if (gone.length > 0) await commands.srem(this.#nodesKey, ...gone.map(([other]) => other))
    this.#hasRemovedGone = true
  }

  async connections(node: string): Promise<number> {
    const reports = await this.#reports(node)
    return reports.reduce((sum, [, count]) => sum + Number(count ?? 0), 0)
  }

  async leave(node: string): Promise<void> {
    const { commands } = this.#data
    await Promise.all([commands.del(this.#nodeKey(node)), commands.srem(this.#nodesKey, node)])
  }

  keepRevocation(text: string): Promise<void> {
    return this.#revocations.keep(text)
  }

  keptRevocations(ms: number): Promise<readonly string[]> {
    return this.#revocations.since(ms)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    if (this.#checks !== null) clearInterval(this.#checks)
    for (const connection of this.#connections()) connection.close()
  }

  #connections(): Set<RedisConnection> {
    const all = [this.#subscriber, this.#publisher, this.#data]
    return new Set(this.#cluster === null ? all : [...all, this.#cluster])
  }

  #connectOrder(ioredis: Ioredis | null): void {
    if (this.#isClosed) return
    for (const connection of [this.#subscriber, this.#publisher]) connection.connect(ioredis)
    const { client } = this.#subscriber
    client.on('message', (channel: string, body: string) => this.#receiver!.message(channel, body))
  }

  /** How the connection writes a key, to find out whether it can. */
  #writeOf(connection: RedisConnection, names: Names): (() => Promise<unknown>) | null {
    if (connection === this.#subscriber) return null
    if (connection === this.#publisher && this.#order !== null) return () => this.#order!.check()
    return () => writeCheck(connection, names)
  }

  #eventsOf(connection: () => RedisConnection): ConnectionEvents {
    return {
      ready: () => {
        if (connection() === this.#publisher) this.#order?.publisherArrived()
        if (connection() === this.#subscriber) {
          if (this.#order === null) this.#up()
          else this.#order.arrived()
        }
        void this.#troubles.get(connection())!.check()
        if ([...this.#connections()].every(({ isReady }) => isReady)) this.#outage.end()
      },
      lost: (error) => {
        this.#options.logger.debug({ err: error }, 'A connection to Redis was lost')
        if (connection() === this.#publisher) this.#order?.publisherLost()
        if (connection() !== this.#subscriber) return
        this.#order?.lost()
        this.#down(error)
      },
      failed: (error) => this.#failed(connection(), error),
      refused: (error) => {
        if (connection() === this.#publisher) this.#owner?.redirected(error.message)
        this.#troubles.get(connection())!.note(error)
      },
    }
  }

  /** The subscriber connection can subscribe. */
  #up(): void {
    this.#isUp = true
    this.#receiver!.up()
  }

  #failed(connection: RedisConnection, error: Error): void {
    if (this.#isClosed) return
    this.#options.logger.debug({ err: error }, 'A connection to Redis failed')
    if (connection === this.#subscriber) this.#down(error)
    // A connection for commands that is restored within a moment is not logged as an outage, because commands wait for
    // it.
    else if (!connection.isReady && !connection.canWait) this.#outage.begin(error)
    if (!isReply(error)) return
    this.#outage.log(error)
    if (!isRefusal(error)) return
    const text = `Redis refuses the connection: ${error.message}`
    this.#refuse(new BroadcasterError('brokerRefused', text, { cause: error }))
  }

  #down(error: Error): void {
    if (this.#isClosed) return
    this.#outage.begin(error)
    if (!this.#isUp) return
    this.#isUp = false
    this.#receiver!.down(error)
  }

  /** Logs a refused channel once, and logs only a limited number of channels, because clients can invent names. */
  #logRefusedChannel(channel: string): void {
    const { controlChannel, controlNamespace } = this.#options
    // A refused control channel is reported by {@link Trouble}, as a missing right of the node.
    if (channel === controlChannel || channel.startsWith(controlNamespace)) return
    if (this.#refusedChannels.has(channel) || this.#refusedChannels.size >= MAX_LOGGED_CHANNELS) return
    this.#refusedChannels.add(channel)
    const isLast = this.#refusedChannels.size === MAX_LOGGED_CHANNELS
    const { user } = this.#troubles.get(this.#subscriber)!
    const text = explainChannel(user, channel)
    this.#options.logger.warn({ channel }, isLast ? `${text}; further ones are not logged` : text)
  }

  #check(): void {
    for (const trouble of this.#troubles.values()) void trouble.check()
  }

  /**
   * Moves the subscriber to the server to which messages are published. If the servers cannot be compared, the
   * subscriber reconnects.
   */
  async #followPublisher(): Promise<void> {
    const [here, there] = await Promise.all([this.#publisher.runId(), this.#subscriber.runId()])
    if (here === null || here !== there) this.#subscriber.renew()
  }

  /** Resolves when every connection is established and has all the rights that are needed. */
  async #checkRights(): Promise<void> {
    const troubles = [...this.#troubles.values()]
    const missing = new Map<string, Set<string>>()
    for (const trouble of troubles) {
      const asked = await trouble.missing
      const rights = missing.get(trouble.user) ?? new Set()
      missing.set(trouble.user, rights)
      for (const right of asked) rights.add(right)
    }
    const texts = [...missing].filter(([, rights]) => rights.size > 0)
    if (texts.length === 0) return
    const text = texts.map(([user, rights]) => explainMissing(user, [...rights])).join('; ')
    throw new BroadcasterError('brokerRefused', text)
  }

  /** The last report of each other node; `null` if it has expired. It only reads, also while Redis refuses writes. */
  async #reports(node: string): Promise<(readonly [node: string, connections: string | null])[]> {
    const { commands } = this.#data
    const others = (await commands.smembers(this.#nodesKey)).filter((other) => other !== node)
    return Promise.all(
      others.map(async (other) => [other, await commands.get(this.#nodeKey(other))] as const),
    )
  }

  #nodeKey(node: string): string {
    return `${this.#options.controlNamespace}connections:${node}`
  }

  get #nodesKey(): string {
    return `${this.#options.controlNamespace}nodes`
  }
}
