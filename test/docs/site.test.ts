import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import express from 'express'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { apiPages, pages, sitePathOf } from '../../docs/.vitepress/pages.ts'
import { launchChromium } from '../support/chromium.ts'
import { onlyFull } from '../support/extent.ts'
import { tidy } from '../support/tidy.ts'
import { root } from './documents.ts'

const dist = join(root, 'docs/.vitepress/dist')

/** The pages of the site, by the names of their files. */
const wanted = [...pages, ...apiPages.map(([, path]) => path)].map((path) =>
  sitePathOf(path)!.replace(/\.md$/, '.html'),
)

// The API reference needs the compiler for all sources, and the site a bundler: half a minute of CPU time.
describe('npm run docs:build', onlyFull, () => {
  beforeAll(async () => {
    const { NODE_OPTIONS: _, NODE_ENV: __, ...env } = process.env
    const build = spawn('npm', ['run', 'docs:build'], { cwd: root, env })
    let output = ''
    for (const stream of [build.stdout, build.stderr]) stream.on('data', (chunk) => (output += String(chunk)))
    const [code] = await once(build, 'close')
    // A dead link ends it with an error.
    expect(code, output).toBe(0)
  }, 900_000)

  it('makes the pages of the sidebar, and no others', () => {
    const made = readdirSync(dist, { recursive: true, encoding: 'utf8' })
    const html = made.filter((path) => path.endsWith('.html') && path !== '404.html')
    expect(html.toSorted()).toEqual(wanted.toSorted())
  })

  it('has the comments of the sources in the API reference', () => {
    const reference = readFileSync(join(dist, 'api/react.html'), 'utf8')
    expect(reference).toContain('useChannelMessages')
    expect(reference).toContain('The maximum number of items. The newest items are kept.')
  })

  it('loads nothing from elsewhere, finds words without a server, has no dead anchors, and has a dark side', async () => {
    const app = express()
    app.use(express.static(dist))
    const server = app.listen(0, '127.0.0.1')
    tidy({ close: () => server.close() })
    await new Promise((resolve) => server.once('listening', resolve))
    const origin = `http://127.0.0.1:${(server.address() as { port: number }).port}`
    const browser = tidy(await launchChromium())
    const context = await browser.newContext({ colorScheme: 'dark' })
    onTestFinished(() => context.close())
    const page = await context.newPage()
    const foreign: string[] = []
    const errors: string[] = []
    page.on('request', (request) => {
      if (!request.url().startsWith(origin) && !request.url().startsWith('data:')) foreign.push(request.url())
    })
    page.on('pageerror', ({ message }) => errors.push(message))

    await page.goto(`${origin}/concepts.html`)
    await page.getByRole('heading', { name: 'Log and position' }).waitFor()
    expect(await page.evaluate(() => document.documentElement.classList.contains('dark'))).toBe(true)
    expect(
      await page.evaluate(() => [...document.images].filter((image) => image.naturalWidth === 0).length),
    ).toBe(0)

    // Names and numbers, as they are in a log or in code.
    for (const [term, address] of [
      ['beaconImplausible', '/troubleshooting.html#log-lines'],
      ['4411', '/protocol.html#close-codes'],
      ['laggingTimeout', '/server.html#limits'],
      ['useChannelMessages', '/react.html#usechannelmessages'],
    ] as const) {
      await page.getByRole('button', { name: 'Search' }).first().click()
      await page.getByRole('searchbox').fill(term)
      await page.locator(`[role=option] a[href="${address}"]`).click()
      await page.waitForURL(origin + address)
    }

    for (const path of wanted) {
      await page.goto(`${origin}/${path}`)
      const dead = await page.evaluate(() =>
        [...document.querySelectorAll<HTMLAnchorElement>('.vp-doc a[href^="#"]')]
          .map((link) => decodeURIComponent(link.hash.slice(1)))
          .filter((id) => document.getElementById(id) === null),
      )
      expect({ path, dead }).toEqual({ path, dead: [] })
    }
    expect({ foreign, errors }).toEqual({ foreign: [], errors: [] })
  })
})
