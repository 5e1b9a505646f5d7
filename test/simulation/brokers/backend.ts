import { Cluster, Redis } from 'ioredis'
import type {
  Backend,
  BackendReceiver,
  Broker as OrderedBroker,
} from '../../../server/src/backends/backend.ts'
import { ClusterBrokers } from '../../../server/src/backends/clusterBrokers.ts'
import { clientsOf } from '../../../server/src/backends/redisClients.ts'
import { RedisLinks, type Link } from '../../../server/src/backends/redisLinks.ts'
import { clusterSteps, type Names } from '../../../server/src/backends/redisRights.ts'
import { writeCheck } from '../../../server/src/backends/redisTrouble.ts'
import { plainCodec } from '../../../server/src/control/codec.ts'
import type { Logger } from '../../../server/src/logger.ts'
import type { NodeBackend } from '../backend.ts'
import type { Broker } from '../broker.ts'
import { Commands } from '../commands.ts'
import { SimulatedSessions } from '../sessions.ts'
import type { World } from '../world.ts'
import type { RedisCluster } from './redisCluster.ts'
import { connectorTo, type SimulatedSocket } from './socket.ts'

export interface ClusterBackendOptions {
  readonly world: World
  readonly cluster: RedisCluster
  /** The Redis with the state that nodes share. */
  readonly data: Broker
  readonly name: string
  readonly names: Names
  readonly logger: Logger
}

/**
 * A node's backend on a Redis Cluster: the brokers of the server, on ioredis, whose sockets lead to simulated servers. The
 * state that nodes share is in another Redis.
 */
export class ClusterBackend implements NodeBackend, Backend {
  readonly sessions: SimulatedSessions
  readonly #world: World
  readonly #data: Broker
  readonly #commands: Commands
  readonly #links: RedisLinks
  readonly #link: Link
  readonly #brokers: ClusterBrokers
  readonly #sockets = new Set<SimulatedSocket>()

  constructor({ world, cluster, data, name, names, logger }: ClusterBackendOptions) {
    this.#world = world
    this.#data = data
    this.#commands = new Commands(world, data)
    this.sessions = new SimulatedSessions(new Commands(world, data), () => data.sessions)
    const links = (this.#links = new RedisLinks(names, logger))
    const Connector = connectorTo(world, name, (host) => cluster.server(host), this.#sockets)
    const target = {
      cluster: cluster.servers.map(({ host }) => ({ host, port: 6379 })),
      // The sockets are not of Node, so the type of the option does not fit.
      redisOptions: {
        Connector: Connector as never,
        protocol: world.random.pick([2, 3] as const),
        disableClientInfo: true,
      },
      slotsRefreshInterval: 20_000,
    }
    this.#link = links.add({
      source: clientsOf(target),
      role: 'commands',
      steps: () => clusterSteps,
      write: (connection) => writeCheck(connection, names),
    })
    this.#brokers = new ClusterBrokers({
      names,
      links,
      codec: plainCodec,
      logger,
      cluster: this.#link.connection,
    })
  }

  get hasEnded(): false {
    return false
  }

  get isConnected(): boolean {
    return this.#link.connection.isUsable
  }

  get trouble(): null {
    return null
  }

  async start(receiver: BackendReceiver): Promise<void> {
    const ioredis = { Redis, Cluster }
    this.#links.connect([this.#link], ioredis)
    this.#brokers.start(receiver, ioredis)
    await this.#brokers.opened
  }

  brokerOf(channel: string): OrderedBroker | null {
    return this.#brokers.brokerOf(channel)
  }

  publish(channel: string, body: string): Promise<number> {
    return this.#brokers.publish(channel, body)
  }

  // The number of connections is not part of the guarantee.
  async report(): Promise<void> {}

  async connections(): Promise<number> {
    return 0
  }

  async leave(): Promise<void> {}

  meet(node: string, ttlMs: number): Promise<readonly string[]> {
    return this.#commands.run(() => this.#data.meet(node, ttlMs))
  }

  keepRevocation(text: string): Promise<void> {
    return this.#commands.run(() => this.#data.keepRevocation(text))
  }

  /** Other runs do not depend on this command. */
  async keptRevocations(ms: number): Promise<readonly string[]> {
    if (!this.#world.credentials.areUsed) return []
    return this.#commands.run(() => this.#data.keptRevocations(ms))
  }

  async close(): Promise<void> {
    this.vanish()
  }

  get held(): ReadonlySet<string> {
    return new Set(this.#subscribers.flatMap(({ channels }) => [...channels]))
  }

  // -- faults

  vanish(): void {
    this.#brokers.close()
    this.#links.close()
    for (const socket of this.#sockets) socket.destroy()
    this.#commands.close()
    this.sessions.commands.close()
  }

  cut(): void {
    this.#world.safety.fault(this.held)
    this.#someSubscriber?.reset()
  }

  halfOpen(): void {
    this.#world.safety.fault(this.held)
    this.#someSubscriber?.die()
  }

  stall(ms: number): void {
    this.#someSubscriber?.stall(ms)
  }

  stallCommands(ms: number): void {
    this.#someOther?.stall(ms)
  }

  cutCommands(): void {
    this.#someOther?.reset()
  }

  get #subscribers(): SimulatedSocket[] {
    return [...this.#sockets].filter((socket) => socket.isSubscriber)
  }

  get #someSubscriber(): SimulatedSocket | undefined {
    return this.#world.random.pick(this.#subscribers)
  }

  get #someOther(): SimulatedSocket | undefined {
    return this.#world.random.pick([...this.#sockets].filter((socket) => !socket.isSubscriber))
  }
}
