import { redisCli } from './redisCli.ts'
import { RedisServer } from './redisServer.ts'
import { rememberSettings, reuse, takeServer } from './redisPool.ts'

export type TestRedis = {
  readonly url: string
  readonly port: number
  /** Ends the process with SIGKILL. Connections break and all data is lost. A second call does nothing. */
  stop(): Promise<void>
  /**
   * For the end of a test. As `stop`, except that another test may use the process if it is as it was at its start.
   */
  close(): Promise<void>
  /** As `stop`, but files of the server stay for the next `start`, such as the `nodes.conf` of a cluster. */
  kill(): Promise<void>
  /** Starts an empty server again on the same port. */
  start(): Promise<void>
  /** SIGSTOP: connections stay open, and there are no answers. */
  pause(): void
  resume(): void
  /** `await redis.cli('PUBLISH', 'news', 'hello')` returns what `redis-cli` prints. */
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
  /** The command of another server than the installed `redis-server`. */
  readonly program?: readonly string[]
}

/** Starts a real, empty `redis-server` on a free port of this machine. Resolves when it answers PING. */
export async function startRedis({ args = [], port, program }: RedisOptions = {}): Promise<TestRedis> {
  const isOrdinary =
    program === undefined && port === undefined && typeof args !== 'function' && args.length === 0
  const server = (isOrdinary && takeServer()) || (await RedisServer.start(port, asFunction(args), program))
  if (isOrdinary) await rememberSettings(server)
  /** Whether the process has run without interruption. */
  let isFresh = isOrdinary
  const ends = (): void => void (isFresh = false)

  return {
    url: `redis://127.0.0.1:${server.port}`,
    port: server.port,
    start: () => server.start(),
    stop: () => (ends(), server.stop()),
    kill: () => (ends(), server.kill()),
    close: async () => {
      if (!isFresh || !(await reuse(server))) await server.stop()
      ends()
    },
    pause: () => (ends(), server.signal('SIGSTOP')),
    resume: () => server.signal('SIGCONT'),
    cli: (...words) => redisCli(server.port, words),
  }
}

function asFunction(args: NonNullable<RedisOptions['args']>): () => Promise<readonly string[]> {
  return typeof args === 'function' ? args : async () => args
}
