import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { build } from 'esbuild'
import type { Page } from 'playwright-core'
import { expect, describe, it, onTestFinished } from 'vitest'
import { launchChromium } from '../support/chromium.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'
import { packed, run } from './packed.ts'

const browser = tidy(await launchChromium())
const name = 'broadcaster.browser.js'
const directoryOf = (folder: string) => join(packed, 'node_modules/@broadcaster', folder, 'dist')
const react = await reactForPages()
const noImports = '{}'
const onlyReact = '{ "react": "/react/react.js", "react-dom/client": "/react/dom.js" }'

const pages = {
  client: {
    imports: noImports,
    script: (mode: string) => `
      import { BroadcasterClient } from '/client/${name}'

      const client = new BroadcasterClient('/broadcast', { mode: '${mode}' })
      const stop = client.subscribe('news', (body) => document.body.append(body))
      await stop.ready
      document.title = client.transport`,
  },
  react: {
    imports: onlyReact,
    script: (mode: string) => `
      import { BroadcasterProvider, useChannelMessages, useConnection } from '/react/${name}'
      import { createElement } from 'react'
      import { createRoot } from 'react-dom/client'

      function News() {
        const { messages, status } = useChannelMessages('news')
        const { transport } = useConnection()
        if (status === 'subscribed') document.title = transport
        return messages.map(({ id, body }) => createElement('p', { key: id }, body))
      }
      createRoot(document.body).render(
        createElement(BroadcasterProvider, { url: '/broadcast', mode: '${mode}' }, createElement(News)),
      )`,
  },
  'the client, a map of channels and the devtools': {
    imports: `{
      "@broadcaster/client": "/client/${name}",
      "@broadcaster/channels": "/channels/index.js"
    }`,
    script: (mode: string) => `
      import { BroadcasterClient } from '@broadcaster/client'
      import { defineChannels } from '@broadcaster/channels'
      import { mountDevtools } from '/devtools/mountProduction.js'

      const schema = { '~standard': { version: 1, vendor: 'page', validate: (value) => ({ value }) } }
      const channels = defineChannels({ news: schema })
      const client = new BroadcasterClient('/broadcast', { mode: '${mode}', channels })
      mountDevtools(client)
      await client.subscribe('news', ({ text }) => document.body.append(text)).ready
      document.title = client.transport`,
  },
} as const

describe.each(Object.entries(pages))('a page without a bundler imports %s', (kind, { imports, script }) => {
  it.each(['websocket', 'longpoll'])('and gets messages over %s', async (mode) => {
    const html = `<script type="importmap">{ "imports": ${imports} }</script>
      <script type="module">${script(mode)}</script>`
    const { server, page, errors } = await open(html)
    await page.waitForFunction(() => document.title !== '')
    expect(await page.title()).toBe(mode)
    await server.publish('news', kind.includes('channels') ? '{"text":"hello"}' : 'hello')
    await page.getByText('hello').waitFor()
    expect(errors).toEqual([])
  })
})

describe.each(['client', 'react'])('the page in the README of @broadcaster/%s', (folder) => {
  it('shows what is published', async () => {
    const readme = readFileSync(join(directoryOf(folder), '../README.md'), 'utf8')
    const [, html] = /```html\n([\s\S]*?)```/.exec(readme)!
    // The files of this machine instead of those of CDNs.
    const local = html!
      .replaceAll(/https:\/\/unpkg\.com\/@broadcaster\/(\w+)@[^/]+\/dist\//g, '/$1/')
      .replaceAll(/https:\/\/esm\.sh\/react@[\d.]+/g, '/react/react.js')
      .replaceAll(/https:\/\/esm\.sh\/react-dom@[\d.]+\/client\?external=react/g, '/react/dom.js')
    expect(local).not.toContain('https:')
    const { server, page, errors } = await open(local)
    await until('the page to subscribe', async () => {
      const { localSubscriptions } = await server.broadcaster.stats()
      return localSubscriptions['news'] === 1
    })
    await server.publish('news', 'hello')
    await page.getByText('hello').waitFor()
    expect(errors).toEqual([])
  })
})

describe.each(['client', 'react'])('the file of @broadcaster/%s for pages', (folder) => {
  const code = readFileSync(join(directoryOf(folder), name), 'utf8')

  it('is what CDNs take', () => {
    const manifest = JSON.parse(readFileSync(join(directoryOf(folder), '../package.json'), 'utf8'))
    expect(manifest).toMatchObject({ unpkg: `./dist/${name}`, jsdelivr: `./dist/${name}` })
  })

  it('is minified, for production, and needs nothing of Node', () => {
    expect(code.split('\n').length).toBeLessThan(10)
    expect(code).not.toContain('is not a whole URL')
    expect(code).not.toMatch(/\bprocess\.|\brequire\(/)
    expect(code).toContain(`/*! @broadcaster/${folder} `)
  })

  it('has a source map with the sources', () => {
    expect(code).toMatch(/\/\/# sourceMappingURL=broadcaster\.browser\.js\.map\n$/)
    const map = JSON.parse(readFileSync(join(directoryOf(folder), `${name}.map`), 'utf8'))
    expect(map.sources).toContain(folder === 'client' ? '../src/client.ts' : '../../client/src/client.ts')
    expect(map.sourcesContent.every((text: unknown) => typeof text === 'string')).toBe(true)
  })

  it('exports what the package exports, and what the client exports', async () => {
    const script = `
      const namesIn = async (module) => Object.keys(await import(module))
      const packages = await Promise.all(['@broadcaster/${folder}', '@broadcaster/client'].map(namesIn))
      const all = [...new Set(packages.flat())].sort()
      console.log(JSON.stringify([all, (await namesIn('./${name}')).sort()]))`
    const { code: status, output } = await run(directoryOf(folder), ['--input-type=module', '-e', script])
    expect(status, output).toBe(0)
    const [exported, own] = JSON.parse(output) as [string[], string[]]
    expect(own).toEqual(exported)
    expect(own).toContain('BroadcasterClient')
  })
})

/** Opens a page with the HTML, beside the files of the packages and a broadcaster. */
async function open(html: string): Promise<{ server: TestServer; page: Page; errors: readonly string[] }> {
  const server = await serve(`<!doctype html><html lang="en"><body>${html}</body></html>`)
  const page = await browser.newPage()
  onTestFinished(() => page.close())
  const errors: string[] = []
  page.on('pageerror', ({ message }) => errors.push(message))
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.location().url.endsWith('favicon.ico'))
      errors.push(message.text())
  })
  await page.goto(server.origin)
  return { server, page, errors }
}

function serve(html: string): Promise<TestServer> {
  return startServer(
    {},
    {
      before: (app) => {
        app.get('/', (_req, res) => void res.type('html').send(html))
        app.get('/react/:file', (req, res, next) => {
          const text = react.get(req.params.file)
          if (text === undefined) next()
          else res.type('js').send(text)
        })
        for (const folder of ['client', 'react', 'channels', 'devtools']) {
          app.get(`/${folder}/:file`, (req, res) =>
            res.sendFile(req.params.file, { root: directoryOf(folder) }),
          )
        }
      },
    },
  ).then(tidy)
}

/** React has no ES modules of its own. Those that CDNs make of it share one React, like these. */
async function reactForPages(): Promise<ReadonlyMap<string, string>> {
  const require = createRequire(import.meta.url)
  const reexport = (name: string) =>
    `export { ${Object.keys(require(name) as object).join(', ')} } from '${name}'`
  const modules: Record<string, string> = { react: 'react', dom: 'react-dom/client' }
  const { outputFiles } = await build({
    entryPoints: Object.keys(modules).map((name) => ({ in: `page:${name}`, out: name })),
    bundle: true,
    splitting: true,
    format: 'esm',
    outdir: '/react',
    define: { 'process.env.NODE_ENV': '"production"' },
    write: false,
    plugins: [
      {
        name: 'page',
        setup: ({ onResolve, onLoad }) => {
          onResolve({ filter: /^page:/ }, ({ path }) => ({ path: path.slice(5), namespace: 'page' }))
          onLoad({ filter: /.*/, namespace: 'page' }, ({ path }) => ({
            contents: reexport(modules[path]!),
            resolveDir: import.meta.dirname,
          }))
        },
      },
    ],
  })
  return new Map(outputFiles.map(({ path, text }) => [path.split('/').at(-1)!, text]))
}
