import { describe, expect, it } from 'vitest'
import { run } from './packed.ts'

describe('Node', () => {
  it('gives import and require() the same modules, so that each class and context exists once', async () => {
    const { code, output } = await run('node', ['same.mjs'])
    expect(code, output).toBe(0)
    const { counts, ...result } = JSON.parse(output)
    expect(result).toEqual({ different: [], isSameError: true, rendered: 'idle' })
    for (const name of ['protocol', 'client', 'react', 'server'])
      expect(counts[name], name).toBeGreaterThan(1)
  })

  it('runs a CommonJS application with the packages', async () => {
    const { code, output } = await run('node', ['talk.cjs'])
    expect(code, output).toBe(0)
    expect(JSON.parse(output)).toEqual({ body: 'hello', isCommonJs: false })
  })

  it('runs it with the CommonJS builds if require() does not support ES modules', async () => {
    const { code, output } = await run('node', ['--no-experimental-require-module', 'talk.cjs'])
    expect(code, output).toBe(0)
    expect(JSON.parse(output)).toEqual({ body: 'hello', isCommonJs: true })
  })
})
