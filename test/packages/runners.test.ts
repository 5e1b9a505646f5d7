import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { run } from './packed.ts'

const { resolve } = createRequire(import.meta.url)
const jest = resolve('jest/bin/jest')
const vitest = join(dirname(resolve('vitest/package.json')), 'vitest.mjs')

describe('Jest, without configuration', () => {
  it.each([
    ['node', 'node.test.js', 3],
    ['jsdom', 'page.test.js', 3],
  ])('takes the packages in its %s environment, against a real server', async (_, file, count) => {
    const args = [jest, '--ci', '--runInBand', '--no-cache', '--watchman=false', file]
    const { code, output } = await run('jest', args)
    expect(output).toContain(`${count} passed, ${count} total`)
    expect(code, output).toBe(0)
    // This would be a timer or a socket that is still open after its test.
    expect(output).not.toMatch(/did not exit|Cannot log after tests/)
  })
})

describe('Vitest', () => {
  it('gives a test and its library the same modules', async () => {
    const { code, output } = await run('vitest', [vitest, 'run', '--no-color'])
    expect(code, output).toBe(0)
    expect(output).toMatch(/Tests +1 passed/)
  })
})
