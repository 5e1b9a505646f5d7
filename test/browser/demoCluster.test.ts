import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startCluster, type Cluster } from '../../demo/cluster/startCluster.ts'
import { runBreakIt } from '../breakIt/run.ts'
import { buildDemo } from '../support/builtDemo.ts'
import { launchChromium } from '../support/chromium.ts'
import { inFull } from '../support/extent.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'
import { axeFindings } from './devtoolsPage.ts'
import { openDemo } from './demoPage.ts'

const KILOBYTE = 1_000
const execute = promisify(execFile)
const browser = tidy(await launchChromium())
const built = await buildDemo()

it('over both transports: a killed node loses nothing and needs no gap, and a killed Redis causes gaps that are told', async () => {
  const reports = await runBreakIt({
    program: built.program,
    kills: inFull(6, 1),
    cutsWindows: inFull(true, false),
    redisRestarts: 1,
    minutes: 0,
    rate: 100,
  })
  for (const { beforeRedis, counters } of reports) {
    expect(beforeRedis).toMatchObject({ lost: 0, doubled: 0, gaps: 0 })
    expect(counters).toMatchObject({ lost: 0, doubled: 0 })
    expect(counters.gaps).toBeGreaterThan(0)
  }
})

describe('npm run demo:cluster', () => {
  const main = () => join(dirname(built.program), 'cluster.mjs')

  it('says what to install if there is no redis-server', async () => {
    const { stderr, code } = await execute(process.execPath, [main()], { env: { PATH: '' } }).catch(
      (error) => error,
    )
    expect(code).toBe(1)
    expect(stderr).toContain('apt install redis-server')
  })

  it('leaves no process behind when its terminal is closed', async () => {
    const supervisor = spawn(process.execPath, [main()], {
      env: { ...process.env, PORT: '0', NODE_OPTIONS: '' },
    })
    let output = ''
    supervisor.stdout.on('data', (text) => (output += text))
    const redisPort = await until('its output', () => /127\.0\.0\.1:(\d+) PUBLISH/.exec(output)?.[1])
    supervisor.kill('SIGHUP')
    expect(await once(supervisor, 'exit')).toEqual([0, null])
    const socket = connect(Number(redisPort), '127.0.0.1')
    expect(await once(socket, 'error')).toMatchObject([{ code: 'ECONNREFUSED' }])
  })
})

describe('the page that is built for production', () => {
  let cluster: Cluster

  beforeAll(async () => {
    cluster = await startCluster({ program: built.program })
  })

  afterAll(() => cluster.close())

  it.each(inFull([1360, 360], [360]))(
    'loads at most 150 KB, and nothing in it moves, %i pixels wide',
    async (width) => {
      const page = await browser.newPage({ viewport: { width, height: 800 } })
      await page.addInitScript(() => {
        const page = globalThis as any
        page.shift = 0
        const observer = new PerformanceObserver((list) => {
          for (const entry of list.getEntries()) page.shift += (entry as any).value
        })
        observer.observe({ type: 'layout-shift', buffered: true })
      })
      await page.goto(cluster.url)
      await page.locator('canvas').waitFor()
      await page.locator('broadcaster-devtools').waitFor({ state: 'attached' })
      await page.getByText('pid').first().waitFor()
      const bytes = await page.evaluate(() =>
        [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
          .filter(({ name }) => !new URL(name).pathname.startsWith('/api'))
          .reduce((sum, entry) => sum + (entry as PerformanceResourceTiming).encodedBodySize, 0),
      )
      expect(bytes).toBeGreaterThan(50 * KILOBYTE)
      expect(bytes).toBeLessThan(150 * KILOBYTE)
      await page.getByRole('button', { name: 'Cut the socket' }).click()
      await page.getByText('Everything has arrived').waitFor()
      expect(await page.evaluate('shift')).toBeLessThan(0.005)
      await page.close()
    },
  )

  it.each([
    { name: 'light, wide', colorScheme: 'light', width: 1360 },
    { name: 'dark, on a phone', colorScheme: 'dark', width: 360 },
  ] as const)('$name: axe finds nothing, and the page fits its window', async ({ colorScheme, width }) => {
    const context = await browser.newContext({ colorScheme, viewport: { width, height: 800 } })
    const demo = await openDemo(context, cluster.url)
    const { page } = demo
    await demo.receives(1)
    await page.getByText('pid').first().waitFor()
    if (inFull(true, colorScheme === 'light')) expect(await axeFindings(page)).toEqual([])
    await demo.breaks('Go offline')
    await demo.showsConnection('Reconnecting')
    if (inFull(true, colorScheme === 'dark')) expect(await axeFindings(page)).toEqual([])
    await page.getByRole('button', { name: 'Code of Break it' }).click()
    await page.getByText('export class Ledger').waitFor()
    if (inFull(true, colorScheme === 'dark')) expect(await axeFindings(page)).toEqual([])
    await page.keyboard.press('Escape')
    await demo.breaks('Go online')
    await demo.signIn('alice')
    await page.getByRole('list', { name: 'Orders' }).waitFor()
    expect(await axeFindings(page)).toEqual([])
    expect(await widthOf(page)).toBeLessThanOrEqual(width)
    await demo.close()
    await context.close()
  })

  it('the chart becomes narrower with its window, and its colours follow the colour scheme', async () => {
    const page = await browser.newPage({ colorScheme: 'light', viewport: { width: 1360, height: 800 } })
    await page.goto(cluster.url)
    await page.locator('canvas').waitFor()
    const canvasWidth = async () => (await page.locator('canvas').boundingBox())!.width
    const wide = await canvasWidth()
    await page.setViewportSize({ width: 700, height: 800 })
    await until('a narrower chart', async () => (await canvasWidth()) < 700)
    expect(wide).toBeGreaterThan(700)
    expect(await widthOf(page)).toBeLessThanOrEqual(700)
    const light = await brightest(page)
    await page.emulateMedia({ colorScheme: 'dark' })
    await until('other colours', async () => (await brightest(page)) !== light)
    await page.close()
  })

  it('the devtools are one click away', async () => {
    const page = await browser.newPage()
    await page.goto(cluster.url)
    await page.getByRole('button', { name: 'broadcaster devtools' }).click()
    await page.getByRole('region', { name: 'Channels' }).getByText('ticks:coffee').waitFor()
    await page.close()
  })

  it('the proxy goes on when a browser resets a WebSocket, also in the middle of its handshake, and when a node refuses one', async () => {
    const { hostname, port } = new URL(cluster.url)
    for (const frames of ['', 'x']) {
      const socket = connect(Number(port), hostname)
      socket.on('error', () => {})
      const handshake = `GET /broadcast HTTP/1.1\r\nHost: ${hostname}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n`
      const key = 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n'
      socket.write(handshake + key + frames)
      if (frames !== '') await new Promise((resolve) => socket.once('data', resolve))
      socket.resetAndDestroy()
    }
    const refused = connect(Number(port), hostname)
    refused.write(
      `GET /nothing HTTP/1.1\r\nHost: ${hostname}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    )
    await new Promise((resolve) => refused.resume().once('close', resolve))
    for (let request = 0; request < 4; request++)
      expect((await fetch(`${cluster.url}/broadcast/health`)).status).toBe(200)
  })

  it('pages of other origins can not kill a node', async () => {
    const response = await fetch(`${cluster.url}/api/cluster/nodes/0/kill`, { method: 'POST' })
    expect(response.status).toBe(415)
  })
})

function widthOf(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth)
}

/** The most red of all pixels of the chart that cover what is behind them. */
function brightest(page: Page): Promise<number> {
  return page.locator('canvas').evaluate((canvas: HTMLCanvasElement) => {
    const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height)
    let most = 0
    for (let i = 0; i < data.length; i += 4) if (data[i + 3] === 255) most = Math.max(most, data[i]!)
    return most
  })
}
