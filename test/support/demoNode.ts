import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { program } from './program.ts'
import { until, within } from './waiting.ts'

export type DemoNode = {
  readonly port: number
  /** `http://HOST:PORT/broadcast` */
  readonly url: string
  /** The status of a path below the mount, or `null` if nothing answers. */
  status(path: '/health' | '/health/live'): Promise<number | null>
  /** Resolves when health is 200. */
  healthy(): Promise<unknown>
  signal(signal: NodeJS.Signals): void
  /** How the process has ended: `0`, or a signal that killed it. */
  readonly ended: Promise<number | NodeJS.Signals>
  /** What it has written to stderr. */
  readonly errors: string
  stop(): Promise<unknown>
}

export type DemoSetup = {
  readonly redis: string
  readonly port: number
  /** Default: `127.0.0.1` */
  readonly host?: string
}

/** The program of the demo's server, as it is built for production, but without the page. */
export const demoProgram = (): string => program(join(import.meta.dirname, '..', '..', 'demo', 'server.ts'))

/** Starts the demo as production does. Resolves when it accepts connections. */
export async function startDemoNode(setup: DemoSetup): Promise<DemoNode> {
  const node = spawnDemoNode(setup)
  const died = node.ended.then((how) => Promise.reject(new Error(`The demo ended with ${how}`)))
  await until(`${node.url} to listen`, () => Promise.race([node.status('/health/live'), died]))
  return node
}

/** The same, without waiting for it. */
export function spawnDemoNode({ redis, port, host = '127.0.0.1' }: DemoSetup): DemoNode {
  const env = { ...process.env, NODE_OPTIONS: '', NODE_ENV: 'production', HOST: host, PORT: String(port) }
  const child = spawn(process.execPath, [demoProgram()], {
    env: { ...env, REDIS_URL: redis },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const url = `http://${host}:${port}/broadcast`
  let errors = ''
  child.stderr.on('data', (chunk) => (errors += String(chunk)))
  const ended = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals)
  const status = async (path: string) =>
    (await fetch(url + path, { headers: { Connection: 'close' } }).catch(() => null))?.status ?? null
  return {
    port,
    url,
    status,
    healthy: () => until(`${url} to be healthy`, async () => (await status('/health')) === 200),
    signal: (signal) => void child.kill(signal),
    ended,
    get errors() {
      return errors
    },
    stop: () => {
      child.kill('SIGKILL')
      return within(ended, `${url} to end`)
    },
  }
}
