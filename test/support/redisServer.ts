import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from './waiting.ts'

// On Linux, the server ends when this process ends for any reason, also when a test run is killed.
const launcher = spawnSync('setpriv', ['--version']).error ? [] : ['setpriv', '--pdeathsig', 'KILL']

const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** A process of `redis-server`, which can be started several times on the same port. */
export class RedisServer {
  readonly #args: () => Promise<readonly string[]>
  readonly #dir: string
  readonly #program: readonly string[]
  #child: ChildProcess | undefined
  #port: number

  private constructor(
    dir: string,
    port: number,
    args: () => Promise<readonly string[]>,
    program: readonly string[],
  ) {
    this.#dir = dir
    this.#program = program
    this.#port = port
    this.#args = args
  }

  /**
   * Starts a real, empty server. Resolves when it answers PING.
   *
   * @param port The default is any free port.
   * @param args More command line arguments, for each attempt to start.
   * @param program The command of the server.
   */
  static async start(
    port: number | undefined,
    args: () => Promise<readonly string[]> = async () => [],
    program: readonly string[] = ['redis-server'],
  ): Promise<RedisServer> {
    const dir = await mkdtemp(join(tmpdir(), 'broadcaster-redis-'))
    const server = new RedisServer(dir, port ?? 0, args, program)
    for (let attempt = 1; ; attempt++) {
      if (port === undefined) server.#port = await freePort()
      try {
        await server.start()
        return server
      } catch (error) {
        await server.kill()
        // Another process may have taken the port in the meantime.
        if (attempt === 5 || port !== undefined) throw error
      }
    }
  }

  get port(): number {
    return this.#port
  }

  get isRunning(): boolean {
    const child = this.#child
    return child !== undefined && child.exitCode === null && child.signalCode === null
  }

  async start(): Promise<void> {
    if (this.#child) throw new Error('This redis-server is running')
    await mkdir(this.#dir, { recursive: true })
    const port = this.#port
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', this.#dir, '--save', '']
    args.push('--appendonly', 'no', ...(await this.#args()))
    const [file, ...words] = [...launcher, ...this.#program, ...args]
    const child = spawn(file!, words, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    running.add(child)
    child.once('exit', () => running.delete(child))
    let output = ''
    child.stdout.on('data', (chunk) => (output += chunk))
    child.stderr.on('data', (chunk) => (output += chunk))
    const failed = new Promise<never>((_, reject) => {
      child.once('error', reject)
      child.once('exit', (code) =>
        reject(new Error(`redis-server ended with ${code} on port ${port}\n${output}`)),
      )
    })
    failed.catch(() => {})
    await Promise.race([failed, until('redis-server to answer PING', () => pings(port))])
    child.stdout.removeAllListeners('data').resume()
    child.stderr.removeAllListeners('data').resume()
  }

  /** Whether this server keeps the current process running. */
  keepAlive(isKept: boolean): void {
    const { stdout, stderr } = this.#child!
    for (const handle of [this.#child!, stdout as net.Socket, stderr as net.Socket])
      if (isKept) handle.ref()
      else handle.unref()
  }

  /** Ends the process with SIGKILL. Its files stay for the next {@link start}. A second call does nothing. */
  async kill(): Promise<void> {
    const child = this.#child
    const wasRunning = this.isRunning
    this.#child = undefined
    if (!wasRunning) return
    const exited = new Promise((resolve) => child!.once('exit', resolve))
    child!.kill('SIGKILL')
    await exited
  }

  /** Deletes what the server has written. */
  async deleteFiles(): Promise<void> {
    for (const name of await readdir(this.#dir)) await rm(join(this.#dir, name), { recursive: true })
  }

  /** As {@link kill}. Its files are deleted, too. */
  async stop(): Promise<void> {
    await this.kill()
    await rm(this.#dir, { recursive: true, force: true, maxRetries: 3 })
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }
}

/**
 * A port that is free now. It is below the range that the system uses for outgoing connections. So when a server stops and
 * starts again later, its port is still free. `fetch` refuses some ports, of which 10080 is the highest.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_100 + Math.floor(Math.random() * 20_000)
    const free = await new Promise<boolean>((resolve) => {
      const probe = net.createServer()
      probe.once('error', () => resolve(false))
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
    })
    if (free) return port
  }
}

function pings(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write('PING\r\n'))
    const answer = (pong: boolean) => {
      socket.destroy()
      resolve(pong)
    }
    socket.once('data', (data) => answer(/^(\+PONG|-NOAUTH|-ERR unknown command)/.test(data.toString())))
    socket.once('error', () => answer(false))
    socket.once('close', () => answer(false))
  })
}
