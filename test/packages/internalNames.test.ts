import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { packed } from './packed.ts'

const repository = join(import.meta.dirname, '..', '..')

/** The types that an application uses, or that are those of the protocol. All other files are internal. */
const publicTypes: Record<string, readonly (readonly [folder: string, files: RegExp])[]> = {
  client: [
    ['client/dist', /^(client|errors|shareTabs|types)\.d\.ts$/],
    ['protocol/dist', /\.d\.ts$/],
    ['channels/dist', /\.d\.ts$/],
  ],
  react: [
    ['react/dist', /^(BroadcasterProvider|types|use[A-Z]\w*)\.d\.ts$/],
    ['client/dist', /^(client|errors|types)\.d\.ts$/],
    ['channels/dist', /\.d\.ts$/],
  ],
}

describe.each(Object.keys(publicTypes))('the internal names of @broadcaster/%s', (folder) => {
  const list = readFileSync(join(repository, folder, 'internalNames.json'), 'utf8')
  const names = JSON.parse(list) as string[]
  /** @param before what has to be before the name. */
  const usedIn = (path: string, files: RegExp, before = '(?<![\\w$#])') => {
    const directory = join(packed, 'node_modules/@broadcaster', path)
    const found = readdirSync(directory).filter((name) => files.test(name))
    expect(found).not.toEqual([])
    const code = found
      .map((name) => readFileSync(join(directory, name), 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, ''))
      .join('\n')
    return names.filter((name) => new RegExp(`${before}${name}(?![\\w$])`).test(code))
  }

  it('are sorted, each is used, and the production build has none of them, also not as text', () => {
    expect(names).toEqual([...new Set(names)].toSorted())
    expect(usedIn(`${folder}/dist`, /\.js$/)).toEqual(names)
    // There are variables with these names, until a bundler shortens them, too.
    expect(usedIn(`${folder}/dist/production`, /\.js$/, '[.\'"`]')).toEqual([])
  })

  it.each(publicTypes[folder]!)('are in no type of %s', (path, files) => {
    expect(usedIn(path, files)).toEqual([])
  })
})
