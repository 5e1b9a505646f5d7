import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { launchChromium } from '../support/chromium.ts'
import { inFull } from '../support/extent.ts'
import { startRedis } from '../support/redis.ts'
import { tidy } from '../support/tidy.ts'
import { ExamplePage, startProject } from './example.ts'
import { allPacked, packed, run, type Ended } from './packed.ts'
import { runInTerminal } from './terminal.ts'

const browser = tidy(await launchChromium())

describe.each(inFull(['vite', 'next', 'server'], ['vite']))('a project from the template %s', (template) => {
  it('is installed, passes its tests, is built, and shows what is published', async () => {
    const project = await make(template)
    await inFull(installWithNpm, async () => {})(project)

    const tests = await npm(project, 'test')
    expect(tests.code, tests.output).toBe(0)
    expect(tests.output).toMatch(/Tests +\d passed|[#ℹ] pass [1-9]/)
    expect(tests.output).not.toMatch(/act\(/)
    const built = await npm(project, 'run', 'build', '--if-present')
    expect(built.code, built.output).toBe(0)

    // Without Redis.
    const alone = await ExamplePage.open(browser, await startProject(project, 'production.js'))
    await alone.publish('from the page')
    await alone.showsHeadlines('from the page')
    alone.complainsOfNothing()

    const redis = tidy(await startRedis())
    const url = await startProject(project, 'production.js', { REDIS_URL: redis.url })
    const page = await ExamplePage.open(browser, url)
    await page.publish('from the page')
    await page.showsHeadlines('from the page')
    const headline = template === 'next' ? '{"id":"1","text":"from the shell"}' : 'from the shell'
    await redis.cli('PUBLISH', 'news', headline)
    await page.showsHeadlines('from the page', 'from the shell')
    expect(page.sent).toEqual([['auth', 'subscribe news']])
    page.complainsOfNothing()
    // Installs and builds.
  }, 600_000)
})

/** Full runs install outside of the repository. Others have the packages of the tests. */
async function make(template: string): Promise<string> {
  const parent = inFull(
    () => realpathSync(mkdtempSync(join(tmpdir(), 'broadcaster-created-'))),
    () => {
      const directory = join(packed, 'created')
      mkdirSync(directory, { recursive: true })
      return directory
    },
  )()
  tidy({ stop: () => rmSync(parent, { recursive: true, force: true }) })
  const program = join(packed, 'node_modules/create-broadcaster/dist/index.js')
  const { code, output } = await run(parent, [program, 'news', '--template', template])
  expect(code, output).toBe(0)
  return join(parent, 'news')
}

/** Installs our packages from their tarballs, and all others from the registry. */
async function installWithNpm(project: string): Promise<void> {
  const path = join(project, 'package.json')
  const manifest = JSON.parse(readFileSync(path, 'utf8'))
  const tarballs = new Map(allPacked().map(({ name, tarball }) => [name, `file:${tarball}`]))
  for (const field of ['dependencies', 'devDependencies']) {
    for (const name of Object.keys(manifest[field] ?? {})) {
      manifest[field][name] = tarballs.get(name) ?? manifest[field][name]
    }
  }
  // Those that our packages depend on.
  writeFileSync(path, JSON.stringify({ ...manifest, overrides: Object.fromEntries(tarballs) }))
  const { code, output } = await npm(project, 'install', '--prefer-offline', '--no-audit', '--no-fund')
  expect(code, output).toBe(0)
  // A package may have become deprecated, or may want a newer Node, at any time.
  expect(output).not.toMatch(/npm (error|warn ERESOLVE)/i)
}

function npm(project: string, ...args: readonly string[]): Promise<Ended> {
  return runInTerminal(project, 'npm', args, { NO_COLOR: '1', NEXT_TELEMETRY_DISABLED: '1' })
}
