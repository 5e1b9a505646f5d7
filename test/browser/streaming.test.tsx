import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { renderToPipeableStream } from 'react-dom/server'
import { afterAll, expect, it } from 'vitest'
import { launchChromium } from '../support/chromium.ts'
import { startServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { PATIENCE_MS } from '../support/waiting.ts'
import { StreamedPage } from './streamedPage.tsx'

// Only a real browser runs the scripts with which React puts streamed content into the page.

const URL_PATH = '/broadcast'
const browser = tidy(await launchChromium())
const context = await browser.newContext()
afterAll(() => context.close())

/** The script that hydrates the page. In the build for development, React reports every mismatch. */
async function bundlePage(): Promise<string> {
  const contents = `
    import { createElement } from 'react'
    import { hydrateRoot } from 'react-dom/client'
    import { StreamedPage } from './streamedPage.tsx'
    globalThis.recovered = []
    const page = createElement(StreamedPage, { url: '${URL_PATH}', data: Promise.resolve() })
    hydrateRoot(document, page, { onRecoverableError: (error) => recovered.push(String(error)) })`
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: fileURLToPath(new URL('.', import.meta.url)), loader: 'js' },
    bundle: true,
    format: 'iife',
    jsx: 'automatic',
    define: { 'process.env.NODE_ENV': '"development"' },
    conditions: ['@broadcaster/source'],
    write: false,
  })
  return outputFiles[0]!.text
}

it('a streamed page makes no connection on the server, and hydrates its shell and its late content without a mismatch', async () => {
  const script = await bundlePage()
  let arrive!: () => void
  const data = new Promise<void>((resolve) => (arrive = resolve))
  const subscribes: string[] = []
  const errors: string[] = []
  const server = tidy(
    await startServer(
      { canSubscribe: (_auth, channel) => subscribes.push(channel) > 0 },
      {
        before: (app) => {
          app.get('/client.js', (_request, response) => void response.type('js').send(script))
          app.get('/favicon.ico', (_request, response) => void response.sendStatus(204))
          app.get('/', (_request, response) => {
            const { pipe } = renderToPipeableStream(<StreamedPage url={URL_PATH} data={data} />, {
              bootstrapScripts: ['/client.js'],
              onShellReady: () => void pipe(response.type('html')),
              onError: (error) => void errors.push(String(error)),
            })
          })
        },
      },
    ),
  )
  const page = await context.newPage()
  page.setDefaultTimeout(PATIENCE_MS)
  page.on('pageerror', (error) => errors.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text())
  })
  const shows = (id: string, text: string) => page.locator(`#${id}`, { hasText: text }).waitFor()

  // The late content is on its way, and the early one is live.
  await page.goto(`${server.origin}/`, { waitUntil: 'commit' })
  await shows('early', 'subscribed [] connected')
  await server.publish('early', 'first')
  await shows('early', 'subscribed [first] connected')
  await shows('waiting', 'waiting')
  expect(subscribes).toEqual(['early'])

  arrive()
  await shows('late', 'subscribed [] connected')
  await server.publish('late', 'second')
  await shows('late', 'subscribed [second] connected')
  await shows('early', 'subscribed [first] connected')
  expect(subscribes).toEqual(['early', 'late'])
  expect((await server.broadcaster.stats()).connections).toBe(1)
  expect(await page.evaluate('recovered')).toEqual([])
  expect(errors).toEqual([])
})
