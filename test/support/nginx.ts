import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './redisServer.ts'
import { until } from './waiting.ts'

/** Debian installs it in a directory that is only in the PATH of root. */
const places = ['nginx', '/usr/sbin/nginx', '/usr/local/sbin/nginx']

/** The command for nginx on this machine, if it is installed. */
export function findNginx(): string | undefined {
  return places.find((place) => spawnSync(place, ['-v']).error === undefined)
}

export type Nginx = {
  readonly origin: string
  /** Changes the configuration, as SIGHUP does: old workers go on with what they have, and new ones take what is new. */
  reload(config: string): Promise<void>
  /** The status of each answer so far. */
  statuses(): Promise<string[]>
  close(): Promise<void>
}

/** Starts nginx on a free port. `configure` returns the contents of `http { ... }`. Resolves when it accepts connections. */
export async function startNginx(configure: (port: number) => string): Promise<Nginx> {
  const [port, statusPort] = [await freePort(), await freePort()]
  const origin = `http://127.0.0.1:${port}`
  const dir = await mkdtemp(join(tmpdir(), 'broadcaster-nginx-'))
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${dir}/${name};`,
  )
  let generation = 0
  const write = (config: string) =>
    writeFile(
      join(dir, 'nginx.conf'),
      `daemon off; pid ${dir}/pid; error_log ${dir}/error.log;
events {}
http {
  log_format status $status; access_log ${dir}/access.log status; ${paths.join(' ')}
  server { listen 127.0.0.1:${statusPort}; location / { access_log off; return 200 ${++generation}; } }
${config}
}
`,
    )
  const isCurrent = async () => {
    const headers = { Connection: 'close' }
    const answer = await fetch(`http://127.0.0.1:${statusPort}`, { headers }).catch(() => null)
    return (await answer?.text().catch(() => '')) === String(generation)
  }
  await write(configure(port))
  const args = ['-p', dir, '-c', join(dir, 'nginx.conf')]
  const nginx = spawn(findNginx() ?? 'nginx', args, { stdio: 'ignore' })
  await until('nginx to accept connections', isCurrent)
  return {
    origin,
    reload: async (config) => {
      await write(config)
      nginx.kill('SIGHUP')
      await until('nginx to have the new configuration', isCurrent)
    },
    statuses: async () => (await readFile(join(dir, 'access.log'), 'utf8')).trim().split('\n'),
    close: async () => {
      nginx.kill('SIGTERM')
      await once(nginx, 'exit')
      await rm(dir, { recursive: true, force: true })
    },
  }
}

/** The text with each key replaced by its value. Every key must be in the text. */
export function replaced(text: string, values: Readonly<Record<string, string>>): string {
  return Object.entries(values).reduce((result, [from, to]) => {
    if (!result.includes(from)) throw new Error(`The configuration does not contain ${from}`)
    return result.replace(from, to)
  }, text)
}
