import { readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const client = fileURLToPath(new URL('../../client', import.meta.url))

it('ERRORS.md of the client lists every code once', () => {
  const source = readFileSync(path.join(client, 'src/errors.ts'), 'utf8')
  const codes = [...source.matchAll(/^ {2}\| '(\w+)'$/gm)].map(([, code]) => code)
  const page = readFileSync(path.join(client, 'ERRORS.md'), 'utf8')
  const listed = [...page.matchAll(/^\| `(\w+)` /gm)].map(([, code]) => code)
  expect(codes.length).toBeGreaterThan(10)
  expect(listed.toSorted()).toEqual(codes.toSorted())
})
