import type { Delivered } from '../generator/traffic.ts'
import type { Latency } from '../generator/tally.ts'
import type { Figures } from './figures.ts'
import { Generator } from './generator.ts'
import { peers, type Peer, type PeerName } from './peers.ts'
import { Server } from './server.ts'
import { cpuOf, type Cpu } from './usage.ts'

export type Size = 'smoke' | 'quick' | 'full'

/** The duration of a measurement, and of the warm-up before it, which has the same load. */
const durations = {
  smoke: { warmSeconds: 0.2, seconds: 0.5 },
  quick: { warmSeconds: 1, seconds: 2 },
  full: { warmSeconds: 2, seconds: 5 },
} satisfies Record<Size, unknown>

export type SessionOptions = {
  readonly peer: PeerName
  readonly size: Size
  readonly redis: { readonly url: string; readonly port: number; readonly pid: number }
  readonly profile?: string | undefined
}

/** One run of one peer, with new processes. A scenario applies its load through it, and it measures the cost. */
export class Session {
  readonly name: PeerName
  readonly peer: Peer
  readonly warmSeconds: number
  readonly seconds: number
  readonly server: Server
  readonly generator: Generator
  readonly #options: SessionOptions
  readonly #servers: Server[]

  static async start(options: SessionOptions): Promise<Session> {
    const { redis, profile } = options
    const server = await Server.start(options.peer, { redisUrl: redis.url, profile })
    try {
      return new Session(options, server, await Generator.start(redis.port))
    } catch (error) {
      await server.kill()
      throw error
    }
  }

  private constructor(options: SessionOptions, server: Server, generator: Generator) {
    this.#options = options
    this.name = options.peer
    this.peer = peers[options.peer]
    this.warmSeconds = durations[options.size].warmSeconds
    this.seconds = durations[options.size].seconds
    this.server = server
    this.generator = generator
    this.#servers = [server]
  }

  get redisUrl(): string {
    return this.#options.redis.url
  }

  /** Starts another node of the same peer. It ends with the session. */
  async startServer(port?: number): Promise<Server> {
    const options = port === undefined ? {} : { port }
    const server = await Server.start(this.name, { redisUrl: this.#options.redis.url, ...options })
    this.#servers.push(server)
    return server
  }

  /** Opens the WebSocket connections that most scenarios have. */
  async open(connections: number, channels = 1): Promise<void> {
    const { dialect, extensions } = this.peer
    const offered = extensions === undefined ? {} : { extensions }
    await this.generator.call('open', 'main', {
      port: this.server.port,
      dialect,
      connections,
      channels,
      ...offered,
    })
  }

  /** Runs `work` and returns the cost of its deliveries. */
  async measure(work: () => Promise<Delivered & Partial<Latency>>): Promise<Figures> {
    const before = await this.#usage()
    const delivered = await work()
    const after = await this.#usage()
    const millions = delivered.deliveries / 1e6
    const { user, system } = minus(after.server, before.server)
    const redis = minus(after.redis, before.redis)
    const { p50, p99, p999, max } = delivered
    return {
      cpuPerMillion: (user + system) / millions,
      userPerMillion: user / millions,
      systemPerMillion: system / millions,
      deliveriesPerSecond: delivered.deliveries / delivered.seconds,
      ...(p50 !== undefined && { p50, p99: p99!, p999: p999!, max: max! }),
      rssMb: this.server.rss() / 1e6,
      redisPerMillion: (redis.user + redis.system) / millions,
      serverLoad: (user + system) / delivered.seconds,
      generatorLoad: (after.generator - before.generator) / delivered.seconds,
      lost: delivered.lost,
      disorder: delivered.disorder,
    }
  }

  /** CPU seconds of Redis since it started. */
  readonly redisCpu = (): Cpu => cpuOf(this.#options.redis.pid)

  async end(): Promise<void> {
    await this.generator.stop()
    await Promise.all(this.#servers.map((server) => server.stop()))
  }

  async #usage() {
    return {
      server: this.server.cpu(),
      redis: this.redisCpu(),
      generator: (await this.generator.call('cpu')).seconds,
    }
  }
}

function minus(after: Cpu, before: Cpu): Cpu {
  return { user: after.user - before.user, system: after.system - before.system }
}

/** CPU seconds of a server while `work` ran. */
export async function cpuSecondsOf(server: Server, work: () => Promise<void>): Promise<Cpu> {
  const before = server.cpu()
  await work()
  return minus(server.cpu(), before)
}
