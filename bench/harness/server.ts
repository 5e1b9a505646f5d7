import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { PeerReady } from '../relay/peer.ts'
import type { PeerName } from './peers.ts'
import { cpuOf, rssOf, type Cpu } from './usage.ts'

export type ServerOptions = {
  readonly redisUrl: string
  /** The default is any free port. */
  readonly port?: number
  /** The directory for a CPU profile. Without it, there is no profile. */
  readonly profile?: string | undefined
}

/** A peer in its own process. */
export class Server {
  readonly port: number
  readonly #child: ChildProcess
  readonly #pid: number

  static async start(peer: PeerName, { redisUrl, port, profile }: ServerOptions): Promise<Server> {
    const profiling = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`]
    const child = fork(fileURLToPath(new URL(`../peers/${peer}.ts`, import.meta.url)), {
      execArgv: ['--import', 'tsx', '--expose-gc', ...profiling],
      env: { ...process.env, REDIS_URL: redisUrl, ...(port !== undefined && { PORT: String(port) }) },
    })
    const ended = once(child, 'exit').then(([code]) => {
      throw new Error(`The server of ${peer} ended with ${code} before it was listening.`)
    })
    const [ready] = (await Promise.race([once(child, 'message'), ended])) as [PeerReady]
    ended.catch(() => {})
    return new Server(child, ready)
  }

  private constructor(child: ChildProcess, ready: PeerReady) {
    this.#child = child
    this.#pid = ready.pid
    this.port = ready.port
  }

  cpu(): Cpu {
    return cpuOf(this.#pid)
  }

  rss(): number {
    return rssOf(this.#pid)
  }

  /** Bytes of heap in use after a garbage collection. `undefined` if the server is not the forked Node process. */
  async heap(): Promise<number | undefined> {
    if (this.#pid !== this.#child.pid) return undefined
    this.#child.send('heap')
    const [answer] = (await once(this.#child, 'message')) as [{ heapUsed: number }]
    return answer.heapUsed
  }

  /** Serves another node from the same process. Returns its port. */
  async startAnotherNode(): Promise<number> {
    this.#child.send('another node')
    const [ready] = (await once(this.#child, 'message')) as [PeerReady]
    return ready.port
  }

  /** Asks the process to exit, so that it writes its profile. */
  async stop(): Promise<void> {
    if (this.#hasEnded()) return
    const exit = once(this.#child, 'exit')
    this.#child.send('stop')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 10_000)
    await exit
    clearTimeout(timer)
  }

  /** Ends the process with SIGKILL. */
  async kill(): Promise<void> {
    if (this.#hasEnded()) return
    const exit = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exit
  }

  #hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }
}
