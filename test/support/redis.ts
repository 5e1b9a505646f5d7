import { execFile, spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { until } from './waiting.ts'

export type TestRedis = {
  readonly url: string
  readonly port: number
  /** Ends the process with SIGKILL. Connections break and all data is lost. A second call does nothing. */
  stop(): Promise<void>
  /** The same, but files of the server stay for the next `start`, such as the `nodes.conf` of a cluster. */
  kill(): Promise<void>
  /** Starts an empty server again on the same port. */
  start(): Promise<void>
  /** SIGSTOP: connections stay open, and there are no answers. */
  pause(): void
  resume(): void
  /** Runs `redis-cli` on this server: `await redis.cli('PUBLISH', 'news', 'hello')`. Returns its output. */
  cli(...args: string[]): Promise<string>
}

export type RedisOptions = {
  /**
   * More command line arguments, for instance `['--client-output-buffer-limit', 'pubsub 64kb 0 0']`. A function makes them
   * for each attempt to start.
   */
  readonly args?: readonly string[] | (() => Promise<readonly string[]>)
  /** The port. The default is any free port. */
  readonly port?: number
}

const run = promisify(execFile)

// On Linux, the server ends when this process ends for any reason, also when a test run is killed.
const command = spawnSync('setpriv', ['--version']).error
  ? ['redis-server']
  : ['setpriv', '--pdeathsig', 'KILL', 'redis-server']

const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Starts a real, empty `redis-server` on a free port of this machine. Resolves when it answers PING. */
export async function startRedis(options: RedisOptions = {}): Promise<TestRedis> {
  const dir = await mkdtemp(join(tmpdir(), 'broadcaster-redis-'))
  let child: ChildProcess | undefined
  let port = options.port ?? 0

  const launch = async () => {
    await mkdir(dir, { recursive: true })
    const args = [
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--dir',
      dir,
      '--save',
      '',
      '--appendonly',
      'no',
    ]
    const given = options.args ?? []
    const more = typeof given === 'function' ? await given() : given
    const started = spawn(command[0]!, [...command.slice(1), ...args, ...more], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    child = started
    running.add(started)
    started.once('exit', () => running.delete(started))
    let output = ''
    started.stdout.on('data', (chunk) => (output += chunk))
    started.stderr.on('data', (chunk) => (output += chunk))
    const failed = new Promise<never>((_, reject) => {
      started.once('error', reject)
      started.once('exit', (code) =>
        reject(new Error(`redis-server ended with ${code} on port ${port}\n${output}`)),
      )
    })
    failed.catch(() => {})
    await Promise.race([failed, until('redis-server to answer PING', () => pings(port))])
    started.stdout.removeAllListeners('data').resume()
    started.stderr.removeAllListeners('data').resume()
  }

  const kill = async () => {
    const stopping = child
    child = undefined
    if (!stopping || stopping.exitCode !== null || stopping.signalCode !== null) return
    const exited = new Promise((resolve) => stopping.once('exit', resolve))
    stopping.kill('SIGKILL')
    await exited
  }

  for (let attempt = 1; ; attempt++) {
    if (options.port === undefined) port = await freePort()
    try {
      await launch()
      break
    } catch (error) {
      await kill()
      // Another process may have taken the port in the meantime.
      if (attempt === 5 || options.port !== undefined) throw error
    }
  }

  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    start: async () => {
      if (child) throw new Error('This redis-server is running')
      await launch()
    },
    stop: async () => {
      await kill()
      await rm(dir, { recursive: true, force: true, maxRetries: 3 })
    },
    kill,
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
    cli: async (...args) => (await run('redis-cli', ['-p', String(port), ...args])).stdout.trimEnd(),
  }
}

/**
 * A port that is free now. It is below the range that the system uses for outgoing connections. So when a server stops and
 * starts again later, its port is still free.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000)
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
