import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export const root = join(import.meta.dirname, '..')

export interface Manifest {
  readonly name: string
  readonly version: string
  readonly private?: boolean
  readonly files?: readonly string[]
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly scripts?: Readonly<Record<string, string>>
  readonly [field: string]: unknown
}

interface RootManifest {
  readonly workspaces: readonly string[]
  readonly repository: string
  readonly license: string
  readonly author: string
}

export function readManifest<T = Manifest>(directory: string): T {
  return JSON.parse(readFileSync(join(root, directory, 'package.json'), 'utf8')) as T
}

export const project = readManifest<RootManifest>('.')

/** The folders of the workspaces that are published: all that are not private, dependencies first. */
export const packages: readonly string[] = project.workspaces.filter(
  (folder) => readManifest(folder).private !== true,
)

/** All packages have one version. */
export const { version } = readManifest(packages[0]!)

/** Where a file or a folder of this version is shown in the repository. */
export function urlOf(path: string, kind: 'blob' | 'raw' = 'blob'): string {
  return `${project.repository}/${kind}/v${version}/${path}`
}
