import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './redisServer.ts'
import { until } from './waiting.ts'

/** Debian installs it in a directory that is only in the PATH of root. */
const places = ['haproxy', '/usr/sbin/haproxy', '/usr/local/sbin/haproxy']

/** The command for HAProxy on this machine, if it is installed. */
export function findHaproxy(): string | undefined {
  return places.find((place) => spawnSync(place, ['-v']).error === undefined)
}

/** Starts HAProxy on a free port. `configure` returns the whole configuration. Resolves when it answers. */
export async function startHaproxy(
  configure: (port: number) => string,
): Promise<{ readonly origin: string; close(): Promise<void> }> {
  const port = await freePort()
  const dir = await mkdtemp(join(tmpdir(), 'broadcaster-haproxy-'))
  const path = join(dir, 'haproxy.cfg')
  await writeFile(path, configure(port))
  const haproxy = spawn(findHaproxy() ?? 'haproxy', ['-q', '-db', '-f', path], { stdio: 'ignore' })
  const origin = `http://127.0.0.1:${port}`
  await until('HAProxy to answer', () => fetch(origin).catch(() => null))
  return {
    origin,
    close: async () => {
      haproxy.kill('SIGKILL')
      await once(haproxy, 'exit')
      await rm(dir, { recursive: true, force: true })
    },
  }
}
