import { readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { createServer } from 'vite'
import { describe, expect, it } from 'vitest'
import { launchChromium } from '../support/chromium.ts'
import { startRedis } from '../support/redis.ts'
import { tidy } from '../support/tidy.ts'
import { ExamplePage, startExample } from './example.ts'
import { packed, run } from './packed.ts'

const { resolve } = createRequire(import.meta.url)
const browser = tidy(await launchChromium())

/** Changes a source file of an example, as a developer does. */
async function edit(file: string, before: string, after: string): Promise<void> {
  const path = join(packed, 'examples', file)
  const text = await readFile(path, 'utf8')
  expect(text).toContain(before)
  await writeFile(path, text.replace(before, after))
}

describe('examples/vite', () => {
  it('hot reload keeps the connection, the subscription and the state', async () => {
    const page = await ExamplePage.open(browser, await startExample('vite'))
    await page.publish('before')
    await page.showsHeadlines('before')

    await edit('vite/src/News.jsx', '<h1>News</h1>', '<h1>Fresh news</h1>')
    await page.page.getByRole('heading', { name: 'Fresh news' }).waitFor()
    await page.publish('after')
    await page.showsHeadlines('before', 'after')

    // React mounts a component again if its hooks are not the same. Its list is new then, and its connection is not.
    await edit('vite/src/News.jsx', 'limit: 50', 'limit: 50 }), extra = useChannelMessages(null, {')
    await page.showsHeadlines()
    await page.publish('another list')
    await page.showsHeadlines('another list')

    expect(page.sent).toEqual([['auth', 'subscribe news']])
    page.complainsOfNothing()
  })

  it('is built for production, and shows what is published in Redis, also behind a proxy', async () => {
    const redis = tidy(await startRedis())
    const { code, output } = await run('examples/vite', [
      join(dirname(resolve('vite/package.json')), 'bin/vite.js'),
      'build',
    ])
    expect(code, output).toBe(0)
    const url = await startExample('vite', { NODE_ENV: 'production', REDIS_URL: redis.url })
    // A development server of its own, as `npm create vite` makes it, which passes our path on.
    const vite = tidy(
      await createServer({
        root: join(packed, 'examples/vite'),
        logLevel: 'error',
        server: { port: 0, proxy: { '/broadcast': { target: url, ws: true }, '/news': url } },
      }),
    )
    await vite.listen()

    const direct = await ExamplePage.open(browser, url)
    const proxied = await ExamplePage.open(browser, vite.resolvedUrls!.local[0]!)
    await redis.cli('PUBLISH', 'news', 'from the shell')
    for (const page of [direct, proxied]) await page.showsHeadlines('from the shell')
    await proxied.publish('from the proxied page')
    for (const page of [direct, proxied]) {
      await page.showsHeadlines('from the shell', 'from the proxied page')
      expect(page.sent).toHaveLength(1)
      page.complainsOfNothing()
    }
  })
})

describe('examples/next', () => {
  it('is built for production: server components, a server action, and no hydration error', async () => {
    const redis = tidy(await startRedis())
    const env = { REDIS_URL: redis.url, NEXT_TELEMETRY_DISABLED: '1' }
    const { code, output } = await run('examples/next', [resolve('next/dist/bin/next'), 'build'], env)
    expect(code, output).toBe(0)
    const url = await startExample('next', { NODE_ENV: 'production', ...env })
    const page = await ExamplePage.open(browser, url)
    await page.publish('from a server action')
    await page.showsHeadlines('from a server action')
    await redis.cli('PUBLISH', 'news', '{"id":"1","text":"from the shell"}')
    await page.showsHeadlines('from a server action', 'from the shell')
    expect(page.sent).toEqual([['auth', 'subscribe news']])
    page.complainsOfNothing()

    // The server has rendered what is stored.
    const html = await (await fetch(url)).text()
    expect(html).toContain('<li>from a server action</li>')
    expect(html).toContain('subscribing')
  })

  it('hot reload keeps the connection beside the WebSocket of Next on the same server', async () => {
    const redis = tidy(await startRedis())
    const url = await startExample('next', { REDIS_URL: redis.url })
    const page = await ExamplePage.open(browser, url)
    await page.publish('before')
    await page.showsHeadlines('before')
    await edit('next/app/News.jsx', '<section>', '<section><h1>Fresh news</h1>')
    await page.page.getByRole('heading', { name: 'Fresh news' }).waitFor()
    await redis.cli('PUBLISH', 'news', '{"id":"1","text":"after"}')
    await page.showsHeadlines('before', 'after')
    // StrictMode of Next runs effects twice.
    expect(page.sent).toEqual([['auth', 'subscribe news']])
    page.complainsOfNothing()
  })
})
