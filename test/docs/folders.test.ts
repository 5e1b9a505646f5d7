import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))
const sources = path.join(root, 'server/src')

/** The folders of `server/src` in the order of CONTRIBUTING. */
const listed = readFileSync(path.join(root, 'CONTRIBUTING.md'), 'utf8')
  .split('In `server/src`')[1]!
  .split('```')[1]!
  .split('\n')
  .flatMap((line) => /^(\w+)\/ /.exec(line)?.[1] ?? [])

const entries = readdirSync(sources, { recursive: true, withFileTypes: true })

it('CONTRIBUTING lists every folder of server/src', () => {
  expect(listed.toSorted()).toEqual(
    entries.flatMap((entry) => (entry.isDirectory() ? entry.name : [])).toSorted(),
  )
})

it('a folder of server/src imports only from the folders above it in CONTRIBUTING', () => {
  const wrong: string[] = []
  for (const entry of entries) {
    const folder = path.relative(sources, entry.parentPath)
    // The files beside the folders are the public API, and what puts the folders together.
    if (!entry.isFile() || folder === '') continue
    const text = readFileSync(path.join(entry.parentPath, entry.name), 'utf8')
    for (const [, imported] of text.matchAll(/from '\.\.\/([\w/]+)\.ts'/g)) {
      const [other, file] = imported!.split('/')
      const isRoot = file === undefined
      const isAllowed = isRoot
        ? ['errors', 'limits', 'logger', 'options', 'stats'].includes(other!)
        : listed.indexOf(other!) < listed.indexOf(folder)
      if (!isAllowed) wrong.push(`${folder}/${entry.name} imports ${imported}`)
    }
  }
  expect(wrong).toEqual([])
})
