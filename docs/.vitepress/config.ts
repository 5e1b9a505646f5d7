import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitepress'
import { anchorOf, repositoryLinks } from './links.ts'
import { plainText } from './plainText.ts'
import { apiPages, groups, pages, sitePathOf, type Group } from './pages.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const repository = repositoryUrl()

const branches =
  '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2"><circle cx="6" cy="5" r="2.5"/><circle cx="6" cy="19" r="2.5"/><circle cx="18" cy="8" r="2.5"/><path d="M6 7.5v9M18 10.5c0 4-5 4-11.5 6"/></svg>'

export default defineConfig({
  title: 'broadcaster',
  description: 'Live updates for Express and React, from plain Redis PUBLISH',
  lang: 'en',
  // Some pages are beside the code that they describe, so the sources are the whole repository.
  srcDir: '..',
  srcExclude: otherDocuments(),
  rewrites: (path) => sitePathOf(path) ?? path,
  // Any file server can serve the pages, also one that does not know that `why` is `why.html`.
  cleanUrls: false,
  // The addresses of a demo on this machine. All other dead links fail the build.
  ignoreDeadLinks: 'localhostLinks',
  head: [['link', { rel: 'icon', href: icon('#0f766e') }]],
  markdown: {
    anchor: { slugify: anchorOf },
    // Languages without a grammar look like these.
    languageAlias: { haproxy: 'nginx', caddy: 'nginx' },
    config: (markdown) => {
      repositoryLinks(markdown, repository)
      plainText(markdown)
    },
  },
  themeConfig: {
    search: {
      provider: 'local',
      options: {
        // The guides explain a name, and the reference repeats it.
        miniSearch: { searchOptions: { boostDocument: (id: string) => (id.includes('/api/') ? 0.2 : 1) } },
      },
    },
    outline: [2, 3],
    nav: [
      { text: 'Quick start', link: '/quick-start' },
      { text: 'Server', link: '/server' },
      { text: 'React', link: '/react' },
      { text: 'Protocol', link: '/protocol' },
      { text: 'API', link: '/api/server' },
    ],
    sidebar: [...groups, { text: 'API', pages: apiPages }].map(sidebarGroup),
    // As a name, the icon would come from another server while the site is developed.
    socialLinks: [{ icon: { svg: branches }, link: repository, ariaLabel: 'Repository' }],
    footer: { message: 'MIT' },
  },
  vite: {
    // The index for the search is one file.
    build: { chunkSizeWarningLimit: 2000 },
    // The tests write packed packages and temporary projects, which are no pages.
    server: { watch: { ignored: ['**/test/**', '**/dist/**', '**/bench/results/**'] } },
  },
})

function sidebarGroup({ text, pages }: Group) {
  return {
    text,
    collapsed: false,
    items: pages.map(([title, path]) => ({
      text: title,
      link: `/${sitePathOf(path)!.replace(/\.md$/, '')}`,
    })),
  }
}

/** Patterns of all Markdown files that are no pages. */
function otherDocuments(): string[] {
  const others = readdirSync(root, { withFileTypes: true }).flatMap((entry) => {
    const { name } = entry
    if (name === 'docs') return []
    if (!entry.isDirectory()) return name.endsWith('.md') && !pages.includes(name) ? [name] : []
    const inside = pages
      .filter((path) => path.startsWith(`${name}/`))
      .map((path) => path.slice(name.length + 1))
    return inside.length === 0 ? [`${name}/**`] : [`${name}/*/**`, `${name}/!(${inside.join('|')})`]
  })
  // The sidebar lists the packages.
  return [...others, 'docs/api/index.md']
}

function repositoryUrl(): string {
  return JSON.parse(readFileSync(`${root}package.json`, 'utf8')).repository
}

/** A dot and two waves. It is in the page, so nothing more is loaded. */
function icon(color: string): string {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" fill="none" stroke="${color}" stroke-width="4" stroke-linecap="round"><circle cx="8" cy="24" r="4" fill="${color}" stroke="none"/><path d="M8 12a12 12 0 0 1 12 12M8 4a20 20 0 0 1 20 20"/></svg>`
  return `data:image/svg+xml,${encodeURIComponent(svg)}`
}
