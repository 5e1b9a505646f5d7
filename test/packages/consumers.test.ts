import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { inFull } from '../support/extent.ts'
import { installAlone, manifestOf } from './consumer.ts'
import { allPacked, compile, compilers, packed } from './packed.ts'

type Mode = readonly [compiler: (typeof compilers)[number], module: string, resolution: string]

const modes: readonly Mode[] = [
  ['typescript', 'nodenext', 'nodenext'],
  ['typescript', 'node16', 'node16'],
  ['typescript', 'preserve', 'bundler'],
  ['typescript5', 'nodenext', 'nodenext'],
  ['typescript5', 'preserve', 'bundler'],
  ['typescript54', 'node16', 'node16'],
  ['typescript54', 'preserve', 'bundler'],
]

const names = allPacked()
  .map(({ name }) => name)
  .filter((name) => manifestOf(name)['bin'] === undefined)

describe.each(names)('TypeScript, in an application that has only %s and its peers', (name) => {
  const directory = installAlone(name)
  const entries = Object.keys(manifestOf(name)['exports'] as object)
    .filter((entry) => entry !== './package.json')
    // React is an optional peer of these packages, and only some of their entries need it.
    .filter(
      (entry) => entry !== '.' || manifestOf(name).peerDependencies?.['@broadcaster/react'] === undefined,
    )
    .map((entry) => name + entry.slice(1))
  const lines = (line: (entry: string, index: number) => string) => entries.map(line).join('\n')
  writeFileSync(
    join(directory, 'esm.mts'),
    `${lines((entry, index) => `import * as entry${index} from '${entry}'`)}
export const all = [${lines((_, index) => `entry${index},`)}]\n`,
  )
  writeFileSync(
    join(directory, 'cjs.cts'),
    `${lines((entry, index) => `import entry${index} = require('${entry}')`)}
export const all = [${lines((_, index) => `entry${index},`)}]\n`,
  )

  it.each(inFull(modes, modes.slice(0, 1)))(
    '%s checks all declarations, as module %s with resolution %s',
    async (...mode) => {
      const [compiler, module, moduleResolution] = mode
      const lib = name === '@broadcaster/server' ? 'es2022' : 'es2022,dom'
      // Neither the types of Node nor others are there unless a package asks for them.
      const options = { module, moduleResolution, lib, types: '', typeRoots: 'none', skipLibCheck: 'false' }
      const { code, output } = await compile(directory, ['esm.mts', 'cjs.cts'], options, compiler)
      expect(output).toBe('')
      expect(code).toBe(0)
    },
  )
})

describe('TypeScript, in an application that exports what the packages return', () => {
  const ours = names.filter((name) => name !== '@broadcaster/protocol')
  const directory = installAlone(...ours, 'express', '@types/express', 'zod')
  cpSync(join(packed, 'declared'), directory, { recursive: true })

  // A type that comes from a dependency of a package would have no name there (TS2742, TS2883).
  it.each(inFull(compilers, compilers.slice(0, 1)))(
    '%s can name all types in its declarations',
    async (compiler) => {
      const options = {
        module: 'nodenext',
        moduleResolution: 'nodenext',
        types: '',
        typeRoots: 'none',
        declaration: 'true',
      }
      const { code, output } = await compile(
        directory,
        ['app.mts'],
        { ...options, skipLibCheck: 'true' },
        compiler,
      )
      expect(output).toBe('')
      expect(code).toBe(0)
    },
  )
})
