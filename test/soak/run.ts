import type { TransportName } from '@broadcaster/client'
import { startRedis } from '../support/redis.ts'
import { until } from '../support/waiting.ts'
import type { Memory } from '../support/memory.ts'
import { HEALTHY_HEADER } from './application.ts'
import { ApplicationProcess } from './applicationProcess.ts'
import { Attackers } from './attacker.ts'
import type { AttackKind } from './attacks.ts'
import { becomesIdle } from './idle.ts'
import { healthyBasePeer, Visitor } from './healthy.ts'
import { healthyClient, type HealthyClient } from '../support/healthyClient.ts'
import type { NeighbourName } from './neighbours.ts'
import { HEALTHY_CHANNEL, Publishing } from './publishing.ts'
import { asReport, type Report } from './report.ts'

export type SoakOptions = {
  readonly seed: number
  /** The duration of the attacks after the warm-up. */
  readonly seconds: number
  /** The attacks go on until there were so many connections: a loaded machine makes few. Default 0. */
  readonly leastConnections?: number
  /** The duration of the warm-up with the same attacks. Memory that is allocated once is allocated in this time. */
  readonly warmUpSeconds: number
  /** The number of attackers' connections at the same time. */
  readonly concurrency: number
  readonly neighbours: readonly NeighbourName[]
  /** Makes only attacks of these kinds. */
  readonly only?: readonly AttackKind[]
  /** The number of the first attack, to start shortly before a failure. */
  readonly from?: number
  readonly log?: (line: string) => void
}

/** How much larger the heap may be at the end, because of caches and compiled code. */
const MARGIN_BYTES = 8 * 1024 * 1024
const PATIENCE_MS = 60_000
/** If a page takes longer, the server is overloaded. */
const BUSY_MS = 300

/** Starts an application, attacks it, and reports whether it withstood the attacks. */
export async function runSoak(options: SoakOptions): Promise<Report> {
  const redis = await startRedis()
  try {
    const application = await ApplicationProcess.start({ redis: redis.url, neighbours: options.neighbours })
    try {
      return await new Soak(options, redis.url, application).run()
    } finally {
      await application.stop()
    }
  } finally {
    await redis.stop()
  }
}

class Soak {
  readonly #options: SoakOptions
  readonly #application: ApplicationProcess
  readonly #origins: readonly string[]
  readonly #attackers: Attackers
  readonly #publishing: Publishing
  readonly #visitor: Visitor
  readonly #healthy: HealthyClient[] = []
  /** The memory after the warm-up and at the end. */
  readonly #memory: Memory[] = []

  constructor(options: SoakOptions, redisUrl: string, application: ApplicationProcess) {
    this.#options = options
    this.#application = application
    this.#origins = application.ports.map((port) => `http://127.0.0.1:${port}`)
    this.#publishing = new Publishing(redisUrl, application, options.seed)
    this.#visitor = new Visitor(this.#origins)
    this.#attackers = new Attackers({
      ...options,
      ports: application.ports,
      isBusy: () => this.#visitor.waitingMs > BUSY_MS,
    })
  }

  async run(): Promise<Report> {
    const { log = () => {}, seconds, warmUpSeconds, seed } = this.#options
    const startedAt = performance.now()
    const elapsed = () => (performance.now() - startedAt) / 1000
    let breach: string | null = null
    let secondsToBreach: number | null = null
    try {
      await this.#application.whileAlive(this.#subscribe())
      log(`${this.#healthy.length} healthy clients are subscribed`)
      await this.#attack(warmUpSeconds)
      log(`warm after ${this.#attackers.counts.connections} connections`)
      await this.#attack(seconds, this.#options.leastConnections)
      await this.#application.whileAlive(this.#hearAll())
    } catch (error) {
      breach = (error as Error).message
      secondsToBreach = elapsed()
    }
    const look = this.#application.death === null ? await this.#application.look() : null
    // If the application has ended, the healthy clients can't have all messages.
    const isWhole = this.#application.death === null && (breach === null || (await this.#hearsAll()))
    this.#publishing.close()
    await Promise.all([this.#visitor.stop(), ...this.#healthy.map((client) => client.stop())])
    return asReport({
      seed,
      seconds: elapsed(),
      secondsToBreach,
      attackers: this.#attackers,
      healthy: this.#healthy,
      isWhole,
      visitor: this.#visitor,
      publishing: this.#publishing,
      memory: this.#memory,
      margin: MARGIN_BYTES,
      look,
      death: this.#application.death,
      output: this.#application.output,
      breach,
    })
  }

  /** Subscribes healthy clients on each server and each mount path. */
  async #subscribe(): Promise<void> {
    const [first] = this.#origins
    const headers = { [HEALTHY_HEADER]: '1' }
    const healthy = (url: string, mode: TransportName): Promise<HealthyClient> =>
      healthyClient(url, { mode, channel: HEALTHY_CHANNEL, headers })
    const clients = [
      ...this.#origins.map((origin) => healthy(`${origin}/live`, 'websocket')),
      healthy(`${first}/live`, 'longpoll'),
      healthyBasePeer(`${first}/live`, HEALTHY_CHANNEL),
      healthy(`${first}/memory`, 'websocket'),
      healthy(`${first}/wrapped/memory`, 'longpoll'),
    ]
    this.#healthy.push(...(await Promise.all(clients)))
    this.#publishing.startStream()
  }

  /** Attacks for this time, waits until nothing is left of the attacks, and measures the memory. */
  async #attack(seconds: number, leastConnections = 0): Promise<void> {
    const endsAt = performance.now() + seconds * 1000
    const isEnough = () =>
      performance.now() > endsAt && this.#attackers.counts.connections >= leastConnections
    this.#publishing.startNoise()
    await this.#attackers.run(() => this.#application.death !== null || isEnough())
    this.#publishing.stopNoise()
    this.#attackers.leave()
    await becomesIdle(this.#application, this.#healthy, this.#attackers)
    this.#memory.push(await this.#application.measure())
  }

  async #hearAll(): Promise<void> {
    this.#publishing.stopStream()
    const { last } = this.#publishing
    await until(
      `the healthy clients to have ${last} messages`,
      () => this.#healthy.every(({ record }) => record.last >= last),
      { ms: PATIENCE_MS },
    )
  }

  async #hearsAll(): Promise<boolean> {
    await this.#hearAll().catch(() => {})
    return true
  }
}
