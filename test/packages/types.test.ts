import { describe, expect, it } from 'vitest'
import { inFull } from '../support/extent.ts'
import { compile } from './packed.ts'

const nodenext = ['nodenext', 'nodenext'] as const

describe('TypeScript resolves the types of all packages, and they are compatible', () => {
  it.each(inFull([['node16', 'node16'], nodenext, ['preserve', 'bundler']], [nodenext]))(
    'in ES modules and CommonJS, as module %s with resolution %s',
    async (module, moduleResolution) => {
      // Without `skipLibCheck`, TypeScript also checks the declarations of the packages.
      const { code, output } = await compile('types', ['esm.mts', 'cjs.cts'], { module, moduleResolution })
      expect(code, output).toBe(0)
    },
  )

  // It is a program of its own, because it declares the channels of the whole program.
  it('of channels: names, bodies and params on the server, in the client and in hooks', async () => {
    const options = { module: 'nodenext', skipLibCheck: 'true' }
    const { code, output } = await compile('types', ['channels.mts'], options)
    expect(code, output).toBe(0)
  })
})
