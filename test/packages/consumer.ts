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
 * An installation outside of the repository, like that of `npm install` of one package and of its peers: only what they
 * declare can be resolved. Of optional peers it has only types, which an application in TypeScript that uses the peer has.
 */
export function installAlone(name: string): string {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'broadcaster-consumer-')))
  tidy({ stop: () => rmSync(directory, { recursive: true, force: true }) })
  install(name, join(directory, 'node_modules'))
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
  const { dependencies = {}, peerDependencies = {}, peerDependenciesMeta = {} } = manifestOf(name)
  const optional = Object.keys(peerDependenciesMeta as object)
  const peers = Object.keys(peerDependencies).filter(
    (peer) => !optional.includes(peer) || peer.startsWith('@types/'),
  )
  for (const other of [...Object.keys(dependencies), ...peers]) install(other, modules)
}

function sourceOf(name: string): string {
  const places = [packed, join(root, 'test'), root].map((place) => join(place, 'node_modules', name))
  const found = places.find(existsSync)
  if (found === undefined) throw new Error(`${name} is not installed`)
  return found
}
