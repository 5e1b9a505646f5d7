import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..', '..')

/** What is published, in the order in which it is built. */
export const packages = ['protocol', 'server', 'client', 'react'] as const

/** Builds all packages and packs them as `npm publish` does; returns the tarball of each. */
export function pack(directory: string): Record<(typeof packages)[number], string> {
  mkdirSync(directory, { recursive: true })
  npm('run', 'build', '--silent')
  const tarballs = packages.map((name) => {
    const [packed] = JSON.parse(npm('pack', '-w', name, '--json', '--pack-destination', directory)) as [
      { filename: string },
    ]
    return [name, join(directory, packed.filename)]
  })
  return Object.fromEntries(tarballs) as Record<(typeof packages)[number], string>
}

function npm(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync('npm', args, { cwd: root, encoding: 'utf8' })
  if (status !== 0) throw new Error(`npm ${args.join(' ')} ended with ${status}:\n${stdout}${stderr}`)
  return stdout
}
