import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { debianServers } from '../redises/debian.ts'
import { services } from '../redises/services.ts'

const test = join(import.meta.dirname, '..')
const rows = readFileSync(join(test, '..', 'docs', 'redis.md'), 'utf8')
  .split('\n')
  .filter((line) => /^\| (?!-)/.test(line))
  .map((line) => line.split(' | ').map((cell) => cell.replaceAll(/^\| | +\|$/g, '').trim()))

describe('docs/redis.md', () => {
  it('says of every row how it is known: by a test that exists, or on which day it was read or tried', () => {
    const known = rows.map((row) => row.at(-1)!).filter((cell) => cell !== 'how known')
    expect(known.length).toBeGreaterThan(30)
    for (const cell of known) {
      if (/^(documentation|by hand on [\w. ]+), \d{4}-\d\d-\d\d$/.test(cell)) continue
      const [, file, name] = /^`(\S+)`: (.*)$/.exec(cell) ?? [cell]
      expect(file, cell).toBeDefined()
      expect(readFileSync(join(test, file!), 'utf8').includes(`'${name}'`), cell).toBe(true)
    }
  })

  it('has a row for everything that the tests try', () => {
    const names = rows.map(([name]) => name)
    expect(names).toEqual(expect.arrayContaining([...debianServers, ...services].map(({ name }) => name)))
  })
})
