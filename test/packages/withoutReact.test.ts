import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { inFull } from '../support/extent.ts'
import { tidy } from '../support/tidy.ts'
import { compile, packed, run } from './packed.ts'

/** An installation outside of the repository, from which React can't be resolved. */
const bare = realpathSync(mkdtempSync(join(tmpdir(), 'broadcaster-bare-')))
tidy({ stop: () => rmSync(bare, { recursive: true, force: true }) })
cpSync(join(packed, 'bare'), bare, { recursive: true })
for (const name of ['protocol', 'channels', 'client', 'testing']) {
  const path = join('node_modules', '@broadcaster', name)
  cpSync(join(packed, path), join(bare, path), { recursive: true })
}
mkdirSync(join(bare, 'node_modules', '@types'))
for (const name of ['node', 'undici-types']) {
  const path = name === 'node' ? '@types/node' : name
  const root = join(import.meta.dirname, '..', '..', 'node_modules')
  symlinkSync(join(root, path), join(bare, 'node_modules', path))
}

describe('@broadcaster/testing/client without React, which is an optional peer dependency', () => {
  const ways: [string, string[]][] = [
    ['import', ['talk.cjs', 'import']],
    ['require() of the CommonJS build', ['--no-experimental-require-module', 'talk.cjs', 'require']],
    ['require()', ['talk.cjs', 'require']],
  ]

  it.each(inFull(ways, ways.slice(0, 2)))('works by %s, and the process exits', async (_, args) => {
    expect(() => createRequire(join(bare, 'talk.cjs')).resolve('react')).toThrow()
    const { code, output } = await run(bare, args)
    expect(code, output).toBe(0)
    expect(JSON.parse(output)).toEqual(['hello'])
  })

  it('has types that need no types of React', async () => {
    const options = { module: 'nodenext', moduleResolution: 'nodenext' }
    const { code, output } = await compile(bare, ['types.mts'], options)
    expect(code, output).toBe(0)
  })
})
