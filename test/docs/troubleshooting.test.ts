import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { closeCodes } from '../../protocol/src/codes.ts'
import { root, textOf } from './documents.ts'

const page = textOf('docs/troubleshooting.md')

/** The first cells of the table under a heading. */
function listed(heading: string): string[] {
  const section = page.split(`## ${heading}\n`)[1]!.split('\n## ')[0]!
  return [...section.matchAll(/^\| `?([\w]+)`? +\|/gm)]
    .map(([, cell]) => cell!)
    .filter((cell) => !['code', 'event'].includes(cell))
    .toSorted()
}

/** The members of a union of strings, each on a line. */
function declared(file: string): string[] {
  const source = readFileSync(join(root, file), 'utf8')
  return [...source.matchAll(/^ {2}\| '(\w+)'$/gm)].map(([, name]) => name!).toSorted()
}

describe('docs/troubleshooting.md', () => {
  it.each([
    ['Errors of the client', 'client/src/errors.ts'],
    ['Errors of the server', 'server/src/errors.ts'],
    ['Log lines', 'server/src/logger.ts'],
  ])('%s: has all of %s', (heading, file) => {
    expect(declared(file).length).toBeGreaterThan(3)
    expect(listed(heading)).toEqual(declared(file))
  })

  it('Close codes: has all of the protocol, and that of the browser for none', () => {
    const codes = Object.values(closeCodes).map(({ code }) => String(code))
    expect(listed('Close codes')).toEqual([...codes, '1006'].toSorted())
  })
})
