import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { run } from './packed.ts'

const { resolve } = createRequire(import.meta.url)
const compiler = join(dirname(resolve('typescript/package.json')), 'bin', 'tsc')

describe('TypeScript resolves the types of all packages, and they are compatible', () => {
  it.each([
    ['node16', 'node16'],
    ['nodenext', 'nodenext'],
    ['preserve', 'bundler'],
  ])('in ES modules and CommonJS, as module %s with resolution %s', async (module, moduleResolution) => {
    const options = ['--module', module, '--moduleResolution', moduleResolution, '--target', 'es2022']
    // Without `skipLibCheck`, TypeScript also checks the declarations of other packages. Only errors in ours count.
    const args = [
      compiler,
      '--ignoreConfig',
      '--strict',
      '--noEmit',
      '--types',
      'node',
      ...options,
      'esm.mts',
      'cjs.cts',
    ]
    const { code, output } = await run('types', args)
    expect(code, output).toBe(0)
  })
})
