import type { ControlCodec } from '../control/codec.ts'
import { closed } from '../errors.ts'
import type { EventLogger } from '../logger.ts'
import type { RedisTarget } from '../options.ts'
import type { Backend, BackendReceiver, Broker } from './backend.ts'
import { ClusterBrokers } from './clusterBrokers.ts'
import { isClusterTarget, isInstance, loadIoredis } from './ioredis.ts'
import { namesOfOnlyOrder } from './orderNames.ts'
import { RedisBroker } from './redisBroker.ts'
import { clientsOf } from './redisClients.ts'
import { RedisNodes } from './redisNodes.ts'
import { RedisLinks, troubleOf, type Link } from './redisLinks.ts'
import { RedisReports } from './redisReports.ts'
import { RedisRevocations } from './redisRevocations.ts'
import { clusterSteps, dataSteps, type Step } from './redisRights.ts'
import { RedisSessions } from './redisSessions.ts'
import { writeCheck } from './redisTrouble.ts'

export interface RedisBackendOptions {
  readonly redis: RedisTarget
  readonly pubSub: RedisTarget
  readonly controlChannel: string
  readonly controlNamespace: string
  readonly timeoutMs: number
  readonly logger: EventLogger
  readonly codec: ControlCodec
}

/**
 * The backend for Redis, through ioredis. It has a broker with two connections, and a connection for data, unless the
 * broker has the data too. On a Redis Cluster, it has a broker for each master, and the connection for data leads to all
 * servers.
 */
export class RedisBackend implements Backend {
  readonly sessions: RedisSessions
  readonly #options: RedisBackendOptions
  readonly #links: RedisLinks
  readonly #pubSub: ClusterBrokers | RedisBroker
  /** The connections that belong to no broker. */
  readonly #ownLinks: ReadonlySet<Link>
  readonly #reports: RedisReports
  readonly #revocations: RedisRevocations
  readonly #nodes: RedisNodes

  constructor(options: RedisBackendOptions) {
    this.#options = options
    const { redis, pubSub, controlNamespace: namespace, controlChannel, timeoutMs, logger, codec } = options
    const names = { namespace, controlChannel }
    const links = (this.#links = new RedisLinks(names, logger))
    const dataLink = (target: RedisTarget, hasData: boolean, further: readonly Step[] = []): Link =>
      links.add({
        source: clientsOf(target),
        role: 'commands',
        steps: () => [...(hasData ? dataSteps(names) : []), ...further],
        write: (connection) => writeCheck(connection, names),
        ...(isClusterTarget(target) && { isMoved: () => true }),
      })
    const isShared = pubSub === redis
    let data: Link
    if (isClusterTarget(pubSub)) {
      const cluster = dataLink(pubSub, isShared, clusterSteps)
      data = isShared ? cluster : dataLink(redis, true)
      this.#pubSub = new ClusterBrokers({ names, links, codec, logger, cluster: cluster.connection })
      this.#ownLinks = new Set([data, cluster])
    } else {
      const broker = (this.#pubSub = new RedisBroker({
        links,
        names: namesOfOnlyOrder(names),
        codec,
        logger,
        server: { kind: 'single', source: clientsOf(pubSub) },
        ...(isShared && { furtherSteps: () => dataSteps(names) }),
      }))
      data = isShared ? broker.publisher : dataLink(redis, true)
      this.#ownLinks = new Set(isShared ? [] : [data])
    }
    const { commands } = data.connection
    this.#reports = new RedisReports(commands, namespace)
    this.#revocations = new RedisRevocations(commands, namespace)
    this.#nodes = new RedisNodes(commands, names)
    this.sessions = new RedisSessions(commands, namespace, timeoutMs, isClusterTarget(redis))
  }

  get isConnected(): boolean {
    return [...this.#ownLinks].every(({ connection }) => connection.isUsable)
  }

  get hasEnded(): boolean {
    return this.#links.haveEnded
  }

  get trouble(): string | null {
    return troubleOf(this.#ownLinks)
  }

  async start(receiver: BackendReceiver): Promise<void> {
    const { redis, pubSub } = this.#options
    const brokers = this.#pubSub
    const isSingle = brokers instanceof RedisBroker
    const events = isSingle ? receiver.opened(brokers) : null
    const ioredis = isInstance(redis) && isInstance(pubSub) ? null : await loadIoredis()
    if (this.#links.isClosed) throw closed()
    if (isSingle) brokers.connect(events!, ioredis)
    this.#links.connect(this.#ownLinks, ioredis)
    if (!isSingle) brokers.start(receiver, ioredis)
    await Promise.race([this.#links.refused, this.#checkRights()])
  }

  brokerOf(channel: string): Broker | null {
    return this.#pubSub instanceof RedisBroker ? this.#pubSub : this.#pubSub.brokerOf(channel)
  }

  publish(channel: string, body: string | Buffer): Promise<number> {
    return this.#pubSub.publish(channel, body)
  }

  report(node: string, connections: number, ttlMs: number): Promise<void> {
    return this.#reports.set(node, connections, ttlMs)
  }

  connections(node: string): Promise<number> {
    return this.#reports.sumOfOthers(node)
  }

  leave(node: string): Promise<void> {
    return this.#reports.remove(node)
  }

  meet(node: string, ttlMs: number): Promise<readonly string[]> {
    return this.#nodes.meet(node, ttlMs)
  }

  keepRevocation(text: string): Promise<void> {
    return this.#revocations.keep(text)
  }

  keptRevocations(ms: number): Promise<readonly string[]> {
    return this.#revocations.since(ms)
  }

  async close(): Promise<void> {
    if (this.#pubSub instanceof ClusterBrokers) this.#pubSub.close()
    this.#links.close()
  }

  async #checkRights(): Promise<void> {
    await this.#links.checkRights()
    if (!(this.#pubSub instanceof ClusterBrokers)) return
    // The brokers of a Cluster are known only when its servers have been asked.
    await this.#pubSub.opened
    await this.#links.checkRights()
  }
}
