import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { program } from '../support/program.ts'
import { until, within } from '../support/waiting.ts'
import type { NodeSetup } from './nodeMain.ts'

/** A server process that can be ended in several ways and started again at the same address. */
export class ChaosNode {
  readonly port: number
  readonly url: string
  /** The time since which the node is known to have every channel, or `null`. */
  holdsSince: number | null = null
  readonly #setup: NodeSetup
  readonly #onCrash: (what: string) => void
  #child: ChildProcess | null = null
  #exited: Promise<unknown> = Promise.resolve()

  constructor(setup: NodeSetup, onCrash: (what: string) => void) {
    this.port = setup.port
    this.url = `http://127.0.0.1:${setup.port}/broadcast`
    this.#setup = setup
    this.#onCrash = onCrash
  }

  get isRunning(): boolean {
    return this.#child !== null
  }

  /** Resolves when the node accepts connections and is connected to Redis. */
  async start(): Promise<void> {
    const child = fork(program(join(import.meta.dirname, 'nodeMain.ts')), [JSON.stringify(this.#setup)], {
      execArgv: [],
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    })
    this.#child = child
    this.#exited = once(child, 'exit').then(([code, signal]) => {
      if (this.#child === child) this.#onCrash(`Node ${this.port} ended by itself with ${code ?? signal}`)
    })
    await within(once(createInterface({ input: child.stdout! }), 'line'), 'a node to listen', 60_000)
    await this.untilHealthy()
  }

  kill(): Promise<unknown> {
    return this.#end('SIGKILL')
  }

  /** Drains the node. Resolves when the process has ended. */
  drain(): Promise<unknown> {
    return this.#end('SIGTERM')
  }

  /** Stops the process. Its connections stay open. */
  pause(): void {
    this.#child?.kill('SIGSTOP')
  }

  resume(): void {
    this.#child?.kill('SIGCONT')
  }

  async isHealthy(): Promise<boolean> {
    const response = await this.#get(`${this.url}/health`)
    return response?.status === 200
  }

  untilHealthy(): Promise<unknown> {
    return until(`node ${this.port} to be healthy`, () => this.isHealthy(), { ms: 60_000, everyMs: 100 })
  }

  /** Checks whether the node has all channels. */
  async look(channels: readonly string[]): Promise<void> {
    const child = this.#child
    const response = child && (await this.#get(`http://127.0.0.1:${this.port}/stats`))
    const stats = response?.status === 200 ? await response.json().catch(() => null) : null
    if (this.#child !== child) return
    const { localSubscriptions = {}, node } = (stats ?? {}) as {
      localSubscriptions?: Record<string, number>
      node?: { isListening: boolean }
    }
    const holdsAll = node?.isListening === true && channels.every((name) => name in localSubscriptions)
    if (stats !== null) this.holdsSince = holdsAll ? (this.holdsSince ?? Date.now()) : null
  }

  /** The number of channels with clients that do not have enough copies; 0 if the node does not run. */
  async uncopied(): Promise<number> {
    const response = this.#child && (await this.#get(`http://127.0.0.1:${this.port}/stats`))
    if (response?.status !== 200) return 0
    const stats = (await response.json()) as { node: { uncopiedChannels: number } }
    return stats.node.uncopiedChannels
  }

  #end(signal: NodeJS.Signals): Promise<unknown> {
    const child = this.#child
    this.#child = null
    this.holdsSince = null
    child?.kill('SIGCONT')
    child?.kill(signal)
    return this.#exited
  }

  async #get(url: string): Promise<Response | null> {
    return fetch(url, { signal: AbortSignal.timeout(3000) }).catch(() => null)
  }
}
