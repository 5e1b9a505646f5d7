import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { inFull, onlyFull } from '../support/extent.ts'
import { run } from './packed.ts'

const { resolve } = createRequire(import.meta.url)
const jest = resolve('jest/bin/jest')
const vitest = join(dirname(resolve('vitest/package.json')), 'vitest.mjs')

describe('the examples of @broadcaster/testing', () => {
  it('pass in Vitest, in happy-dom', async () => {
    const { code, output } = await run('examples/vitest', [vitest, 'run', '--no-color'])
    expect(code, output).toBe(0)
    expect(output).toMatch(/Tests +7 passed/)
    // React warns of updates that are not wrapped in act().
    expect(output).not.toMatch(/act\(/)
  })

  it('pass in Jest, in jsdom and in Node, which then exits', onlyFull, async () => {
    const args = [jest, '--ci', '--runInBand', '--no-cache', '--watchman=false']
    const { code, output } = await run('examples/jest', args)
    expect(code, output).toBe(0)
    expect(output).toContain('13 passed, 13 total')
    expect(output).not.toMatch(/act\(|did not exit|Cannot log after tests/)
  })
})

describe('Jest, without configuration', () => {
  const node = ['node', 'node.test.js', 3] as const
  const jsdom = ['jsdom', 'page.test.js', 4] as const

  it.each(inFull([node, jsdom], [node]))(
    'takes the packages in its %s environment, against a real server',
    async (_, file, count) => {
      const args = [jest, '--ci', '--runInBand', '--no-cache', '--watchman=false', file]
      const { code, output } = await run('jest', args)
      expect(output).toContain(`${count} passed, ${count} total`)
      expect(code, output).toBe(0)
      // This would be a timer or a socket that is still open after its test.
      expect(output).not.toMatch(/did not exit|Cannot log after tests/)
    },
  )
})

describe('Vitest', () => {
  it('gives a test and its library the same modules', onlyFull, async () => {
    const { code, output } = await run('vitest', [vitest, 'run', '--no-color'])
    expect(code, output).toBe(0)
    expect(output).toMatch(/Tests +1 passed/)
  })
})
