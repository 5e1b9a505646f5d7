import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export type Machine = {
  readonly date: string
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly kernel: string
  readonly versions: Readonly<Record<string, string>>
}

const bench = fileURLToPath(new URL('..', import.meta.url))

/** The machine and the versions with which a run was made. */
export function describeMachine(): Machine {
  return {
    date: new Date().toISOString(),
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    versions: {
      node: process.versions.node,
      redis: firstVersion('redis-server', '--version'),
      nginx: firstVersion('nginx', '-v'),
      ...Object.fromEntries(
        [
          '@broadcaster/server',
          'socket.io',
          '@socket.io/redis-adapter',
          'ws',
          'express',
          'express-ws',
          'ioredis',
        ].map((name) => [name, packageVersion(name)]),
      ),
    },
  }
}

/** Reads the file, because not every package exports its package.json. */
function packageVersion(name: string): string {
  for (const directory of [bench, join(bench, '..')]) {
    const path = join(directory, 'node_modules', name, 'package.json')
    if (existsSync(path)) return JSON.parse(readFileSync(path, 'utf8')).version
  }
  return 'unknown'
}

function firstVersion(command: string, flag: string): string {
  try {
    const output = execFileSync('sh', ['-c', `${command} ${flag} 2>&1`], { encoding: 'utf8' })
    return /\d+\.\d+(\.\d+)?/.exec(output)?.[0] ?? 'unknown'
  } catch {
    return 'not installed'
  }
}
