import { execFile } from 'node:child_process'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const root = join(import.meta.dirname, '..', '..')

/** The published packages, in the order in which they are built. */
export const packages = ['protocol', 'channels', 'server', 'client', 'react', 'testing', 'devtools'] as const

type Tarballs = Record<(typeof packages)[number], string>

/** Builds all packages and packs them like `npm publish`. Returns the tarball of each. */
export async function pack(directory: string): Promise<Tarballs> {
  await mkdir(directory, { recursive: true })
  await npm('run', 'build', '--silent')
  const args = packages.flatMap((name) => ['-w', name])
  await npm('pack', ...args, '--pack-destination', directory)
  return tarballsIn(directory)
}

/** The tarballs that {@link pack} has put into the directory. */
export async function tarballsIn(directory: string): Promise<Tarballs> {
  const files = await readdir(directory)
  const tarballs = packages.map((name) => {
    const file = files.find((one) => one.startsWith(`broadcaster-${name}-`))
    if (file === undefined) throw new Error(`There is no tarball of ${name} in ${directory}`)
    return [name, join(directory, file)]
  })
  return Object.fromEntries(tarballs) as Tarballs
}

async function npm(...args: string[]): Promise<void> {
  await promisify(execFile)('npm', args, { cwd: root })
}
