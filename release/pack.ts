import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { packages, readManifest, root } from './packages.ts'
import { stage } from './stage.ts'

/** What `npm pack --json` tells of a tarball. */
export interface Packed {
  /** The folder of the package in this repository. */
  readonly folder: string
  readonly name: string
  readonly version: string
  /** The path of the tarball. */
  readonly tarball: string
  /** Bytes of the tarball. */
  readonly size: number
  readonly unpackedSize: number
  readonly files: readonly { readonly path: string; readonly size: number }[]
}

type Told = Omit<Packed, 'tarball' | 'folder'> & { readonly filename: string }

export function build(): void {
  execFileSync('npm', ['run', 'build', '--silent'], { cwd: root, stdio: 'inherit' })
}

/** Packs the built packages. Needs no network, and writes only into the directory. */
export function pack(directory: string): Packed[] {
  mkdirSync(directory, { recursive: true })
  const stages = mkdtempSync(join(tmpdir(), 'broadcaster-pack-'))
  try {
    for (const folder of packages) stage(folder, join(stages, folder))
    const args = ['--json', '--ignore-scripts', '--pack-destination', resolve(directory)]
    const directories = packages.map((folder) => `./${folder}`)
    const json = execFileSync('npm', ['pack', ...args, ...directories], { cwd: stages, encoding: 'utf8' })
    const told = JSON.parse(json) as readonly Told[]
    return packages.map((folder) => {
      const { filename, ...facts } = told.find(({ name }) => name === readManifest(folder).name)!
      return { ...facts, folder, tarball: resolve(directory, filename) }
    })
  } finally {
    rmSync(stages, { recursive: true, force: true })
  }
}
