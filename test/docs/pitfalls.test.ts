import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const react = join(import.meta.dirname, '../react')

it('every pitfall of React in test/react/pitfalls/README.md has a test with that name', () => {
  const [, ...rows] = readFileSync(join(react, 'pitfalls/README.md'), 'utf8').match(/^\| (?!-).*$/gm)!
  expect(rows.length).toBeGreaterThan(30)
  for (const row of rows) {
    const [, file, name] = /\| `(\S+)`: (.*?) +\|$/.exec(row) ?? [row]
    expect(file, row).toBeDefined()
    expect(readFileSync(join(react, file!), 'utf8').includes(`'${name}'`), row).toBe(true)
  }
})
