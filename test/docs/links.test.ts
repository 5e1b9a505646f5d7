import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { anchorOf, targetOf } from '../../docs/.vitepress/links.ts'
import { pages } from '../../docs/.vitepress/pages.ts'
import { documents, root, textOf } from './documents.ts'

/** Without code, in which brackets mean something else. */
const proseOf = (document: string) =>
  textOf(document)
    .replaceAll(/^ *```.*?^ *```$/gms, '')
    .replaceAll(/`[^`\n]*`/g, (code) => code.replaceAll(/[[\]()#]/g, '_'))

function linksOf(document: string): string[] {
  return [...proseOf(document).matchAll(/\]\((?<href>[^()\s]+)\)/g)].map(({ groups }) => groups!['href']!)
}

function anchorsOf(document: string): Set<string> {
  const headings = textOf(document)
    .replaceAll(/^ *```.*?^ *```$/gms, '')
    .matchAll(/^#+ (.*)$/gm)
  return new Set([...headings].map(([, heading]) => anchorOf(heading!.replaceAll(/\[(.*?)\]\(.*?\)/g, '$1'))))
}

/** The file that has the anchors: a folder shows its README. */
const documentAt = (path: string) => (path.endsWith('.md') ? path : `${path}/README.md`)

describe('The links', () => {
  it.each(documents)('of %s lead to files and headings that exist', (document) => {
    const dead = linksOf(document).filter((href) => {
      if (/^[a-z]+:/.test(href)) return false
      const { path, hash } = href.startsWith('#') ? { path: document, hash: href } : targetOf(href, document)!
      if (!existsSync(join(root, path))) return true
      return hash !== '' && !anchorsOf(documentAt(path)).has(hash.slice(1))
    })
    expect(dead).toEqual([])
  })

  it('are found', () => {
    expect(linksOf('README.md').length).toBeGreaterThan(30)
    expect(anchorsOf('docs/recovery.md')).toContain('what-fails-and-what-happens')
  })
})

describe('The sidebar', () => {
  it('has every page of docs/', () => {
    const written = documents.filter((path) => path.startsWith('docs/'))
    expect(written.length).toBeGreaterThan(20)
    expect(pages.filter((path) => path.startsWith('docs/')).toSorted()).toEqual(written)
  })

  it('has no page twice, and only pages that exist', () => {
    expect(pages.length).toBe(new Set(pages).size)
    for (const page of pages) expect(documents).toContain(page)
  })

  it('is in the README, page by page', () => {
    const links = new Set(linksOf('README.md'))
    const others = ['docs/index.md', 'client/ERRORS.md', 'CHANGELOG.md']
    for (const page of pages.filter((path) => !others.includes(path))) expect(links).toContain(page)
  })
})

it('The pictures of the documents are all used', () => {
  const used = documents.flatMap(linksOf)
  for (const name of readdirSync(join(root, 'docs/images'))) expect(used).toContain(`images/${name}`)
})

it('The README names tests that exist for every failure', () => {
  const rows = [...textOf('README.md').matchAll(/^\|.*\| (?<tests>`test\/.*`) +\|$/gm)]
  expect(rows.length).toBeGreaterThan(8)
  for (const { groups } of rows)
    for (const path of groups!['tests']!.split(', '))
      expect(existsSync(join(root, path.slice(1, -1))), path).toBe(true)
})

it('The README is a front door: no longer than 150 lines', () => {
  expect(textOf('README.md').split('\n').length).toBeLessThanOrEqual(151)
})
