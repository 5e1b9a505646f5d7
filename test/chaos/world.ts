import type { Mode } from '@broadcaster/client'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { freePort } from '../support/redisServer.ts'
import { startRedisCluster, type TestRedisCluster } from '../support/redisCluster.ts'
import { roundRobin } from '../support/roundRobin.ts'
import { tcpProxy, type TcpProxy } from '../support/tcpProxy.ts'
import { sleep, until } from '../support/waiting.ts'
import { Clients } from './clients.ts'
import type { ClientSetup } from './clientsMain.ts'
import { ChaosNode } from './node.ts'
import { connectionTo, connectionToCluster, NumberedPublisher } from './publisher.ts'
import { Random } from './random.ts'
import { Sentinel } from './sentinel.ts'

export type WorldOptions = {
  readonly nodes: number
  readonly clients: number
  readonly channels: number
  /** The number of channels of each client. */
  readonly perClient: number
  readonly modes: readonly Mode[]
  readonly drainMs: number
  /** The number of nodes that hold each channel, also without clients. */
  readonly copies: number
  readonly hasSentinel: boolean
  readonly hasCluster: boolean
  /** The longest stall of a network or node. */
  readonly longestStallMs: number
  readonly seed: number
  readonly isVerbose: boolean
}

/** The number of networks in front of the load balancer. With several, a fault affects only a part of the clients. */
const NETWORKS = 4
const SETTLING_MS = 120_000
/** How long to wait for a node that covers another one. */
const COVERED_MS = 180_000

/**
 * All parts of a run: Redis, server processes with breakable links to it, a load balancer without sticky sessions, networks in
 * front of it, clients and a publisher.
 */
export class World {
  readonly nodes: readonly ChaosNode[]
  /** The link of each node to Redis. There are none if a Sentinel or a Cluster gives the address of Redis. */
  readonly links: readonly TcpProxy[]
  readonly networks: readonly TcpProxy[]
  readonly publisher: NumberedPublisher
  readonly clients: Clients
  readonly channels: readonly string[]
  readonly longestStallMs: number
  /** The violations of the guarantee. */
  readonly breaches: string[]
  /** All clients have all messages that were published before this time. */
  settledAt = 0
  /** How many channels had no copy when they should have had one. */
  copiedLate = 0
  readonly #redis: TestRedis | null
  readonly #sentinel: Sentinel | null
  readonly #cluster: TestRedisCluster | null
  readonly #watch: NodeJS.Timeout
  readonly #stop: () => Promise<void>

  private constructor(parts: Pick<World, 'nodes' | 'links' | 'networks' | 'publisher' | 'clients'> & Rest) {
    this.nodes = parts.nodes
    this.links = parts.links
    this.networks = parts.networks
    this.publisher = parts.publisher
    this.clients = parts.clients
    this.channels = parts.channels
    this.longestStallMs = parts.longestStallMs
    this.breaches = parts.breaches
    this.#redis = parts.redis
    this.#sentinel = parts.sentinel
    this.#cluster = parts.cluster
    this.#stop = parts.stop
    this.#watch = setInterval(() => {
      for (const node of this.nodes) void node.look(this.channels)
    }, 500)
  }

  static async start(options: WorldOptions): Promise<World> {
    const { seed, drainMs, copies, isVerbose } = options
    const breaches: string[] = []
    const sentinel = options.hasSentinel ? await Sentinel.start() : null
    const cluster = options.hasCluster ? await startRedisCluster() : null
    const redis = sentinel || cluster ? null : await startRedis()
    const channels = Array.from({ length: options.channels }, (_, i) => `channel-${i + 1}`)
    const links: TcpProxy[] = []
    const nodes: ChaosNode[] = []
    while (nodes.length < options.nodes) {
      const link = redis && (await tcpProxy(redis.port))
      if (link) links.push(link)
      const target = link
        ? `redis://${link.address}`
        : cluster
          ? { cluster: cluster.nodes, natMap: cluster.natMap }
          : sentinel!.options
      const setup = { port: await freePort(), redis: target, drainMs, copies, isVerbose }
      nodes.push(new ChaosNode(setup, (what) => breaches.push(what)))
    }
    await Promise.all(nodes.map((node) => node.start()))
    const balancer = await roundRobin(nodes.map(({ url }) => url))
    const networks: TcpProxy[] = []
    while (networks.length < NETWORKS) networks.push(await tcpProxy(balancer.port))
    const connection = cluster
      ? connectionToCluster(cluster)
      : connectionTo(sentinel?.options ?? { host: '127.0.0.1', port: redis!.port })
    const publisher = new NumberedPublisher(connection, channels, new Random(seed + 1))
    const clients = new Clients()
    const world = new World({
      nodes,
      links,
      networks,
      publisher,
      clients,
      channels,
      longestStallMs: options.longestStallMs,
      breaches,
      redis,
      sentinel,
      cluster,
      stop: async () => {
        clients.stop()
        publisher.close()
        await Promise.all(nodes.map((node) => node.kill()))
        for (const thing of [...networks, balancer, ...links]) await thing.close()
        await (sentinel ?? cluster ?? redis!).stop()
      },
    })
    await clients.start(setups(options, networks, channels))
    return world
  }

  /** The only Redis, if there is no Sentinel and no Cluster. */
  get redis(): TestRedis {
    return this.#redis!
  }

  get sentinel(): Sentinel {
    return this.#sentinel!
  }

  get cluster(): TestRedisCluster {
    return this.#cluster!
  }

  /** Resolves when all clients have all messages that were published so far. */
  async settle(): Promise<void> {
    const startedAt = Date.now()
    const heads = await this.publisher.mark()
    for (;;) {
      const behind = await this.clients.behind(heads)
      if (behind.length === 0) break
      if (Date.now() - startedAt > SETTLING_MS) {
        this.breaches.push(`${behind.length} never got all messages: ${behind.slice(0, 5).join('; ')}`)
        break
      }
      await sleep(50)
    }
    this.settledAt = startedAt
  }

  /**
   * Resolves when `node` can be killed without loss: another node has had every channel since before the positions of all
   * clients.
   */
  async untilCovered(node: ChaosNode): Promise<void> {
    const isCovered = () =>
      this.nodes.some(
        (other) => other !== node && other.holdsSince !== null && other.holdsSince < this.settledAt,
      )
    const end = Date.now() + COVERED_MS
    while (!isCovered()) {
      if (Date.now() > end)
        throw new Error('No other node has a client on every channel: the run needs more clients')
      await sleep(200)
      await this.settle()
    }
  }

  /**
   * Resolves when all channels have been held for `safeMs`, and have copies. Counts the channels that had no copy after this
   * time.
   */
  async untilCopied(safeMs: number): Promise<void> {
    await sleep(safeMs)
    const uncopied = async () => {
      const counts = await Promise.all(this.nodes.map((node) => node.uncopied()))
      return counts.reduce((sum, count) => sum + count, 0)
    }
    this.copiedLate += await uncopied()
    await until('all channels to be copied', async () => (await uncopied()) === 0)
  }

  /** The logs of all nodes have been interrupted, so no node covers another one. */
  forgetHolders(): void {
    for (const node of this.nodes) node.holdsSince = null
  }

  async stop(): Promise<void> {
    clearInterval(this.#watch)
    await this.#stop()
  }
}

type Rest = {
  readonly channels: readonly string[]
  readonly longestStallMs: number
  readonly breaches: string[]
  readonly redis: TestRedis | null
  readonly sentinel: Sentinel | null
  readonly cluster: TestRedisCluster | null
  readonly stop: () => Promise<void>
}

function setups(
  { clients, perClient, modes }: WorldOptions,
  networks: readonly TcpProxy[],
  channels: readonly string[],
): ClientSetup[] {
  return Array.from({ length: clients }, (_, i) => {
    const mode = modes[i % modes.length]!
    const { address } = networks[Math.floor(i / modes.length) % networks.length]!
    return {
      name: `client ${i + 1} (${mode})`,
      url: `http://${address}/broadcast`,
      mode,
      channels: Array.from({ length: perClient }, (_, j) => channels[(i + j) % channels.length]!),
    }
  })
}
