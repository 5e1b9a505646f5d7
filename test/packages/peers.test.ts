import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { root, type Manifest } from '../../release/packages.ts'

// npm and pnpm install peers by themselves, and Yarn does not.
it.each(readdirSync(join(root, 'examples')))(
  'the example %s names all peers of its dependencies',
  (example) => {
    const { dependencies = {}, devDependencies = {} } = manifestIn(join(root, 'examples', example))
    const named = Object.keys({ ...dependencies, ...devDependencies })
    const missing = named.flatMap((name) => {
      const places = [join(root, 'test'), root].map((place) => join(place, 'node_modules', name))
      const { peerDependencies = {}, peerDependenciesMeta = {} } = manifestIn(places.find(existsSync)!)
      const optional = Object.keys(peerDependenciesMeta as object)
      const wanted = Object.keys(peerDependencies).filter((peer) => !optional.includes(peer))
      return wanted.filter((peer) => !named.includes(peer)).map((peer) => `${name} wants ${peer}`)
    })
    expect(missing).toEqual([])
  },
)

function manifestIn(directory: string): Manifest {
  return JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as Manifest
}
