import { existsSync } from 'node:fs'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { MarkdownRenderer } from 'vitepress'
import { sitePathOf } from './pages.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

/**
 * Links and images in the documents are relative paths of the repository, so they work where the repository is shown. In the site they
 * go to the page of that file, or to the file in the repository if it is not a page.
 */
export function repositoryLinks(markdown: MarkdownRenderer, repository: string): void {
  markdown.core.ruler.push('repository-links', ({ tokens, env }) => {
    const document = String(env.realPath ?? env.path).slice(root.length)
    for (const token of tokens.flatMap(({ children }) => children ?? [])) {
      if (token.type !== 'link_open') continue
      const target = targetOf(token.attrGet('href') ?? '', document)
      if (target !== undefined) token.attrSet('href', linkTo(target, document, repository))
    }
    return true
  })
}

interface Target {
  /** Relative to the repository. */
  readonly path: string
  readonly hash: string
}

/** The file that a relative link leads to. */
export function targetOf(href: string, document: string): Target | undefined {
  if (/^(?:[a-z]+:|\/|#)/i.test(href) || href === '') return undefined
  const [path = '', hash] = href.split('#')
  const resolved = posix.join(posix.dirname(document), path).replace(/\/$/, '')
  return { path: resolved, hash: hash === undefined ? '' : `#${hash}` }
}

function linkTo({ path, hash }: Target, document: string, repository: string): string {
  if (!existsSync(root + path)) throw new Error(`${document} links to ${path}, which does not exist`)
  const page = sitePathOf(path) ?? sitePathOf(`${path}/README.md`)
  return page === undefined ? `${repository}/blob/main/${path}${hash}` : `/${page}${hash}`
}

/** The anchor of a heading, as GitHub makes it. */
export function anchorOf(heading: string): string {
  return heading
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\p{M}\p{Pc} -]/gu, '')
    .replaceAll(' ', '-')
}
