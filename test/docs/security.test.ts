import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const root = join(import.meta.dirname, '..', '..')

it('docs/security.md names every message that nodes send to each other', async () => {
  const document = await readFile(join(root, 'docs', 'security.md'), 'utf8')
  const source = await readFile(join(root, 'server', 'src', 'control', 'control.ts'), 'utf8')
  const types = new Set([...source.matchAll(/readonly type: '(\w+)'/g)].map(([, type]) => type!))
  const bullets = [...document.matchAll(/^- .*\((`.*`)\)$/gm)].map(([, names]) => names!)
  const named = bullets.flatMap((names) => names.split(', ')).map((name) => name.slice(1, -1))
  expect(named.length).toBeGreaterThan(5)
  expect(named.sort()).toEqual([...types].sort())
})
