import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { root, type Manifest } from '../../release/packages.ts'
import { tidy } from '../support/tidy.ts'
import { packed } from './packed.ts'

/**
 * An installation outside of the repository, like that of `pnpm install` of the packages and of their peers: the application can resolve these,
 * and each package what it declares. Of optional peers it has only types, which an application in TypeScript that uses the peer has.
 */
export function installAlone(...names: readonly string[]): string {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'broadcaster-consumer-')))
  tidy({ stop: () => rmSync(directory, { recursive: true, force: true }) })
  const store = join(directory, 'node_modules/.pnpm/all/node_modules')
  for (const name of names) install(name, store)
  for (const name of new Set(names.flatMap((one) => [one, ...peersOf(one)]))) {
    const target = join(directory, 'node_modules', name)
    mkdirSync(dirname(target), { recursive: true })
    symlinkSync(join(store, name), target)
  }
  return directory
}

export function manifestOf(name: string): Manifest {
  return JSON.parse(readFileSync(join(sourceOf(name), 'package.json'), 'utf8')) as Manifest
}

function install(name: string, modules: string): void {
  const target = join(modules, name)
  if (existsSync(target)) return
  mkdirSync(dirname(target), { recursive: true })
  const source = sourceOf(name)
  // Other packages resolve what they need from the repository, and only ours are to be checked.
  if (!source.startsWith(packed)) return symlinkSync(source, target)
  cpSync(source, target, { recursive: true })
  for (const other of [...Object.keys(manifestOf(name).dependencies ?? {}), ...peersOf(name)])
    install(other, modules)
}

function peersOf(name: string): string[] {
  if (!sourceOf(name).startsWith(packed)) return []
  const { peerDependencies = {}, peerDependenciesMeta = {} } = manifestOf(name)
  const optional = Object.keys(peerDependenciesMeta as object)
  return Object.keys(peerDependencies).filter(
    (peer) => !optional.includes(peer) || peer.startsWith('@types/'),
  )
}

function sourceOf(name: string): string {
  const places = [packed, join(root, 'test'), root].map((place) => join(place, 'node_modules', name))
  const found = places.find(existsSync)
  if (found === undefined) throw new Error(`${name} is not installed`)
  return found
}
