import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'

/** A child process that can be ended and started again, with the same command. */
export class Process {
  readonly #start: () => ChildProcess
  readonly #ready: (child: ChildProcess) => Promise<unknown>
  #child: ChildProcess | undefined
  #isReady = false

  /**
   * @param start Starts the process.
   * @param ready Resolves when it can be used.
   */
  constructor(start: () => ChildProcess, ready: (child: ChildProcess) => Promise<unknown>) {
    this.#start = start
    this.#ready = ready
  }

  /** Whether it can be used: it has started, has not ended, and was not asked to end. */
  get isRunning(): boolean {
    return this.#isReady
  }

  get pid(): number | null {
    return this.#child?.pid ?? null
  }

  /** Does nothing if it was started. Rejects if it ends before it can be used. */
  async start(): Promise<void> {
    if (this.#child !== undefined) return
    const child = this.#start()
    this.#child = child
    const ended = new Promise<never>((_, reject) => {
      child.once('error', reject)
      child.once('exit', (code, signal) => {
        this.#isReady = false
        if (this.#child === child) this.#child = undefined
        reject(new Error(`${child.spawnargs.join(' ')} ended with ${code ?? signal}`))
      })
    })
    await Promise.race([this.#ready(child), ended])
    this.#isReady = true
    // Later it may end at any time.
    ended.catch(() => {})
  }

  /** Resolves when it has ended. Does nothing if it was not started. */
  async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    if (child === undefined) return
    this.#isReady = false
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }
}

/** Where the log lines of the nodes go: to the terminal, or nowhere. */
export type Log = 'inherit' | 'ignore'

/** A node of the demo, as `npm run build` has built it. */
export function nodeProcess(program: string, env: Record<string, string>, log: Log): Process {
  const start = () =>
    spawn(process.execPath, [program], {
      env: { ...process.env, NODE_OPTIONS: '', NODE_ENV: 'production', ...env },
      // It reports over IPC that it is ready, and ends when this process ends.
      stdio: ['ignore', 'ignore', log, 'ipc'],
    })
  return new Process(start, (child) => once(child, 'message'))
}

export function redisProcess(port: number): Process {
  const settings = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
  const start = () => spawn('redis-server', settings, { stdio: ['ignore', 'pipe', 'inherit'] })
  return new Process(
    start,
    (child) =>
      new Promise<void>((resolve) => {
        child.stdout!.on('data', (text) => String(text).includes('Ready to accept connections') && resolve())
      }),
  )
}

export function hasRedisServer(): boolean {
  return spawnSync('redis-server', ['--version']).error === undefined
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
