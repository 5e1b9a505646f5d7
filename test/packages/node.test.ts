import { describe, expect, it } from 'vitest'
import { run } from './packed.ts'

const bodies = { websocket: 'hello on websocket', longpoll: 'hello on longpoll' }

describe('Node', () => {
  it('gives import and require() the same modules, so that each class and context exists once', async () => {
    const { code, output } = await run('node', ['same.mjs'])
    expect(code, output).toBe(0)
    const { counts, ...result } = JSON.parse(output)
    expect(result).toEqual({ different: [], isSameError: true, rendered: 'idle' })
    for (const name of ['protocol', 'channels', 'client', 'react', 'server'])
      expect(counts[name], name).toBeGreaterThan(1)
    for (const name of ['testing', 'testing/client']) expect(counts[name], name).toBe(1)
    // Also shows that the devtools can be imported where there is no page.
    for (const name of ['devtools', 'devtools/production']) expect(counts[name], name).toBe(2)
    for (const name of ['devtools/mount', 'devtools/mount/production']) expect(counts[name], name).toBe(1)
  })

  it('runs a CommonJS application with the packages', async () => {
    const { code, output } = await run('node', ['talk.cjs'])
    expect(code, output).toBe(0)
    expect(JSON.parse(output)).toEqual({ bodies, isCommonJs: false, isProduction: false })
  })

  it('runs it with the CommonJS builds if require() does not support ES modules', async () => {
    const { code, output } = await run('node', ['--no-experimental-require-module', 'talk.cjs'])
    expect(code, output).toBe(0)
    expect(JSON.parse(output)).toEqual({ bodies, isCommonJs: true, isProduction: false })
  })

  it('runs it with the production build under the condition for that', async () => {
    const { code, output } = await run('node', ['--conditions=production', 'talk.cjs'])
    expect(code, output).toBe(0)
    expect(JSON.parse(output)).toEqual({ bodies, isCommonJs: false, isProduction: true })
  })

  it.each([
    ['one module', [], true],
    ['the CommonJS build beside the ES module', ['--no-experimental-require-module'], false],
  ])('exports metrics by import and by require(): %s', async (_, args, isSame) => {
    const { code, output } = await run('node', [...args, 'metrics.mjs'])
    expect(code, output).toBe(0)
    expect(JSON.parse(output)).toEqual({ shown: [true, '', true, ''], isSame })
  })

  it('gets checks of the options and sentences in errors, whatever NODE_ENV is', async () => {
    const { output } = await run('node', ['errors.mjs'], { NODE_ENV: 'production' })
    const { option, code, message } = JSON.parse(output)
    expect(option).toBe('BroadcasterClient: timeout should be milliseconds above 0, got 0')
    expect(code).toBe('options')
    expect(message).toContain("'/broadcast' is not a whole URL")
  })

  it('gets codes in errors from the production build', async () => {
    const { output } = await run('node', ['--conditions=production', 'errors.mjs'])
    expect(JSON.parse(output)).toEqual({
      option: null,
      code: 'options',
      message: 'Invalid URL',
    })
  })

  it.each(['before', 'after'])(
    'renders with fake timers of Sinon, installed %s the packages are loaded',
    async (when) => {
      const { code, output } = await run('node', ['fakeTimers.mjs', when])
      expect(code, output).toBe(0)
      expect(output).toBe('two\n')
    },
  )
})
