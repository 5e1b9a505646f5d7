import { execFile, spawn, spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { monitoringDir } from './monitoringFiles.ts'
import { freePort } from './redisServer.ts'
import { until } from './waiting.ts'

export const isInstalled = ['prometheus', 'promtool'].every(
  (command) => spawnSync(command, ['--version']).error === undefined,
)

export interface PrometheusSample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: string
}

/** A Prometheus that scrapes one server, each second, and has the alert rules. */
export interface Prometheus {
  /** Resolves when it has scraped the server twice more. */
  scraped(): Promise<void>
  /** @throws if the expression is not valid. */
  query(expression: string): Promise<PrometheusSample[]>
  stop(): Promise<void>
}

/** Runs `promtool` beside the rules. Returns what it writes. Rejects if it fails. */
export async function promtool(...args: string[]): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)('promtool', args, { cwd: monitoringDir })
  return stdout + stderr
}

export async function startPrometheus(origin: string): Promise<Prometheus> {
  const dir = await mkdtemp(join(tmpdir(), 'broadcaster-prometheus-'))
  const port = await freePort()
  const config = {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: [join(monitoringDir, 'alerts.yml')],
    scrape_configs: [{ job_name: 'app', static_configs: [{ targets: [new URL(origin).host] }] }],
  }
  // JSON is YAML.
  await writeFile(join(dir, 'prometheus.yml'), JSON.stringify(config))
  const child = spawn(
    'prometheus',
    [
      `--config.file=${join(dir, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(dir, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let output = ''
  child.stderr.on('data', (chunk) => (output = (output + String(chunk)).slice(-10_000)))
  const end = () => void child.kill('SIGKILL')
  process.once('exit', end)
  const get = async (path: string) => {
    if (child.exitCode !== null) throw new Error(`Prometheus has ended: ${output}`)
    return fetch(`http://127.0.0.1:${port}${path}`)
  }
  const query: Prometheus['query'] = async (expression) => {
    const response = await get(`/api/v1/query?query=${encodeURIComponent(expression)}`)
    const answer = (await response.json()) as {
      readonly error?: string
      readonly data?: {
        readonly result: readonly { metric: Record<string, string>; value: [number, string] }[]
      }
    }
    if (answer.data === undefined) throw new Error(`${expression}: ${answer.error}`)
    return answer.data.result.map(({ metric, value }) => ({ labels: metric, value: value[1] }))
  }
  const scrapes = async () => {
    const [found] = await query('count_over_time(broadcaster_healthy[1h])')
    return Number(found?.value ?? 0)
  }
  await until('Prometheus to be ready', async () => {
    const response = await get('/-/ready').catch((error: unknown) => {
      if (child.exitCode !== null) throw error
      return null
    })
    return response?.ok
  })
  return {
    query,
    scraped: async () => {
      const before = await scrapes()
      await until('two scrapes', async () => (await scrapes()) >= before + 2, { everyMs: 200 })
    },
    stop: async () => {
      process.off('exit', end)
      const ended = new Promise((resolve) => child.once('close', resolve))
      child.kill('SIGKILL')
      await ended
      await rm(dir, { recursive: true, force: true })
    },
  }
}
