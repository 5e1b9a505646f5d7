import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { execFile } from 'node:child_process'
import type { RedisOptions } from 'ioredis'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { freePort } from '../support/redisServer.ts'
import { until } from '../support/waiting.ts'

const NAME = 'main'
const run = promisify(execFile)

/** A Redis master, its replica, and a Sentinel that promotes the replica when the master is gone. */
export class Sentinel {
  /** The options with which clients find the current master. */
  readonly options: RedisOptions
  readonly #port: number
  readonly #both: readonly TestRedis[]
  readonly #stop: () => Promise<void>

  private constructor(port: number, both: readonly TestRedis[], stop: () => Promise<void>) {
    this.options = { sentinels: [{ host: '127.0.0.1', port }], name: NAME }
    this.#port = port
    this.#both = both
    this.#stop = stop
  }

  static async start(): Promise<Sentinel> {
    const master = await startRedis()
    const replica = await startRedis({ args: ['--replicaof', '127.0.0.1', String(master.port)] })
    const port = await freePort()
    const dir = await mkdtemp(join(tmpdir(), 'broadcaster-sentinel-'))
    const config = join(dir, 'sentinel.conf')
    await writeFile(
      config,
      `port ${port}
bind 127.0.0.1
dir ${dir}
sentinel monitor ${NAME} 127.0.0.1 ${master.port} 1
sentinel down-after-milliseconds ${NAME} 1000
sentinel failover-timeout ${NAME} 4000
`,
    )
    const child = spawn('redis-server', [config, '--sentinel'], { stdio: 'ignore' })
    const killWithUs = () => child.kill('SIGKILL')
    process.once('exit', killWithUs)
    const exited = new Promise((resolve) => child.once('exit', resolve))
    const sentinel = new Sentinel(port, [master, replica], async () => {
      process.off('exit', killWithUs)
      child.kill('SIGKILL')
      await exited
      for (const redis of [master, replica]) await redis.stop()
      await rm(dir, { recursive: true, force: true, maxRetries: 3 })
    })
    await until('the Sentinel to answer', () => sentinel.#cli('PING').then(Boolean, () => false))
    await sentinel.#untilReplicated()
    return sentinel
  }

  /** Kills the master. Resolves when the replica is the master, and the old master is back as its replica. */
  async failoverByKill(): Promise<void> {
    const old = await this.#master()
    await old.stop()
    const next = await this.#untilOther(old)
    await old.start()
    await old.cli('REPLICAOF', '127.0.0.1', String(next.port))
    await this.#untilReplicated()
  }

  /** Starts a failover with a command while both servers work. */
  async failoverByCommand(): Promise<void> {
    const old = await this.#master()
    await this.#cli('SENTINEL', 'FAILOVER', NAME)
    await this.#untilOther(old)
    await this.#untilReplicated()
  }

  stop(): Promise<void> {
    return this.#stop()
  }

  async #master(): Promise<TestRedis> {
    const [, port] = (await this.#cli('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', NAME)).split('\n')
    return this.#both.find((redis) => redis.port === Number(port))!
  }

  #untilOther(old: TestRedis): Promise<TestRedis> {
    return until(
      'the Sentinel to choose the other master',
      async () => {
        const master = await this.#master()
        return master !== old && (await isMaster(master)) && master
      },
      { ms: 60_000, everyMs: 100 },
    ) as Promise<TestRedis>
  }

  /** Resolves when the Sentinel has a replica that is in sync, so that another failover is possible. */
  async #untilReplicated(): Promise<void> {
    await until(
      'the replica to follow',
      async () => {
        const replicas = await this.#cli('SENTINEL', 'REPLICAS', NAME).catch(() => '')
        const info = await (await this.#master()).cli('INFO', 'replication').catch(() => '')
        const flags = replicas.split('\n')[replicas.split('\n').indexOf('flags') + 1]
        return flags === 'slave' && /master-link-status\nok/.test(replicas) && /state=online/.test(info)
      },
      { ms: 60_000, everyMs: 200 },
    )
  }

  async #cli(...args: string[]): Promise<string> {
    return (await run('redis-cli', ['-p', String(this.#port), ...args])).stdout.trimEnd()
  }
}

async function isMaster(redis: TestRedis): Promise<boolean> {
  return (await redis.cli('ROLE').catch(() => '')).startsWith('master')
}
