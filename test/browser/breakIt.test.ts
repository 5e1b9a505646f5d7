import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startDemo } from '../../demo/startDemo.ts'
import { buildDemo } from '../support/builtDemo.ts'
import { launchChromium } from '../support/chromium.ts'
import { inFull } from '../support/extent.ts'
import { startRedis } from '../support/redis.ts'
import { tidy } from '../support/tidy.ts'
import { sleep, until } from '../support/waiting.ts'
import { openDemo, type DemoPage } from './demoPage.ts'

// The page as it is built for production, with one process.

const browser = tidy(await launchChromium())
const redis = tidy(await startRedis())
const built = await buildDemo()
const demo = tidy(await startDemo({ redis: redis.url, page: built.page, tokenLifeMs: 3_000 }))

const open: DemoPage[] = []

afterEach(async () => {
  for (const page of open.splice(0)) {
    await page.close()
    await page.page.context().close()
  }
})

/** Each page has a window of its own: the browser does not draw a page that is behind another one. */
async function openPage(before = () => {}): Promise<DemoPage> {
  const context = await browser.newContext()
  await context.addInitScript(before)
  const page = await openDemo(context, demo.url)
  open.push(page)
  await page.receives(1)
  return page
}

/** The highest rate keeps both cores of a small machine busy. */
const RATE = inFull(5_000, 1_000)

const perfect = { lost: 0, doubled: 0, gaps: 0 }

describe.each(['WebSocket', 'Long-poll'] as const)('"Break it" over %s', (transport) => {
  it('loses nothing, doubles nothing and needs no gap, whatever is broken in the window', async () => {
    const page = await openPage()
    await page.choose(transport)
    await page.showsConnection(`Connected over ${transport}`)
    await page.signIn('alice')
    await page.receives(50)

    await page.breaks('Cut the socket')
    await page.recoversFrom('Cut the socket')
    await page.breaks('Go offline')
    await page.showsConnection('Reconnecting')
    await sleep(500)
    await page.breaks('Go online')
    await page.recoversFrom('Went offline')
    if (inFull(true, transport === 'WebSocket')) {
      await page.breaks('Stall the reader')
      await page.recoversFrom('Stalled the reader')
    }
    // A token ends while one watches.
    await page.showsEvent('Token renewed, in')
    await page.receives(50)
    await page.showsConnection(`Connected over ${transport}`)
    expect(await page.counters()).toMatchObject(perfect)
  })
})

describe('"Break it"', () => {
  it('falls back to long-poll when WebSockets are blocked, and returns when they are allowed', async () => {
    const page = await openPage()
    await page.showsConnection('Connected over WebSocket')
    await page.breaks('Block WebSockets')
    await page.recoversFrom('Blocked WebSockets')
    await page.showsConnection('Connected over Long-poll')
    await page.breaks('Allow WebSockets')
    await page.showsConnection('Connected over WebSocket')
    await page.receives(50)
    expect(await page.counters()).toMatchObject(perfect)
    await page.choose('Long-poll')
    expect(await page.page.getByRole('button', { name: 'Block WebSockets' }).isDisabled()).toBe(true)
  })
})

describe('one window', () => {
  let page: DemoPage

  beforeAll(async () => {
    page = await openPage()
    // It is closed at the end.
    open.pop()
  })

  afterAll(async () => {
    await page.close()
    await page.page.context().close()
  })

  it('says how to get what one process can not do', async () => {
    const processes = page.page.getByRole('group', { name: 'Processes' })
    await processes.getByText('npm run demo:cluster').waitFor()
    const buttons = await processes.getByRole('button').all()
    expect(buttons).toHaveLength(6)
    for (const button of buttons) expect(await button.isDisabled()).toBe(true)
  })

  it('opens its own source text', async () => {
    await page.page.getByRole('button', { name: 'Code of Market' }).click()
    const dialog = page.page.getByRole('dialog', { name: 'Market: the code' })
    await dialog.getByText('useChannel(').waitFor()
    await dialog.getByRole('button', { name: 'channels.ts' }).click()
    await dialog.getByText('defineChannels({').waitFor()
    const source = await readFile(join(import.meta.dirname, '../../demo/channels.ts'), 'utf8')
    expect(await dialog.locator('pre').textContent()).toBe(source)
    await page.page.keyboard.press('Escape')
  })

  it('counts in a hidden tab, which has no animation frames, and shows it afterwards', async () => {
    await page.page.evaluate(() => {
      const { requestAnimationFrame } = globalThis
      const callbacks: FrameRequestCallback[] = []
      globalThis.requestAnimationFrame = (callback) => callbacks.push(callback)
      ;(globalThis as any).showAgain = () => {
        globalThis.requestAnimationFrame = requestAnimationFrame
        for (const callback of callbacks) requestAnimationFrame(callback)
        return callbacks.length
      }
    })
    await sleep(200)
    const { received } = await page.counters()
    await sleep(500)
    expect((await page.counters()).received).toBe(received)
    // The chart and each store wait for one frame, however many messages have come.
    expect(await page.page.evaluate('showAgain()')).toBeLessThan(10)
    await until('the counters', async () => (await page.counters()).received > received)
    expect(await page.counters()).toMatchObject(perfect)
  })
  it(`is rendered a few times a second at ${RATE} messages a second`, async () => {
    const changes = await page.page.evaluateHandle(() => {
      const counter = { renders: 0 }
      const watch = { subtree: true, childList: true, characterData: true }
      new MutationObserver(() => counter.renders++).observe(document.querySelector('.prices')!, watch)
      return counter
    })
    const { received } = await page.counters()
    try {
      await setRate(RATE)
      await page.receives(2 * RATE)
      const { renders } = await changes.evaluate((counter) => counter)
      expect((await page.counters()).received - received).toBeGreaterThan(20 * renders)
      expect(await page.counters()).toMatchObject(perfect)
    } finally {
      await setRate(100)
    }
  })
})

describe('the board', () => {
  it('shows the rate in all windows, whichever sets it', async () => {
    const [page, other] = [await openPage(), await openPage()]
    await page.setRate(5)
    await other.page.getByRole('status').getByText('50', { exact: true }).waitFor()
    await setRate(100)
    for (const { page: window } of [page, other])
      await window.getByRole('status').getByText('100', { exact: true }).waitFor()
  })

  it('shares notes between windows, with the name of who is signed in, and a new window gets them too', async () => {
    const [page, other] = [await openPage(), await openPage()]
    await page.signIn('alice', 'visitor')
    await page.page.getByLabel('Note', { exact: true }).fill('sell the tin')
    await page.press('Send')
    await other.page.getByRole('list', { name: 'Notes' }).getByText('alice sell the tin').waitFor()
    const late = await openPage()
    await late.page.getByRole('list', { name: 'Notes' }).getByText('alice sell the tin').waitFor()
  })

  it('shows the desk to traders only, and their token is renewed while they watch, also if their clock is slow', async () => {
    const page = await openPage(() => {
      const { now } = Date
      Date.now = () => now() - 3_600_000
    })
    await page.page.getByText('Only traders may have this channel').waitFor()
    await page.signIn('victor', 'visitor')
    await page.page.getByText('Only traders may have this channel').waitFor()
    await page.signIn('tess', 'trader')
    await page.page.getByRole('list', { name: 'Orders' }).getByRole('listitem').first().waitFor()
    await page.page.getByText(/^Token 3 ends in/).waitFor()
    expect(await page.counters()).toMatchObject(perfect)
  })
})

// At the end, because a new page gets these messages too.
describe('the counters', () => {
  it('counts what is lost and what is doubled', async () => {
    const page = await openPage()
    const tick = (n: number) => redis.cli('PUBLISH', 'ticks:tin', tickOf({ n, run: 7, unsure: 0 }))
    for (const n of [1, 2, 2, 3, 6, 7]) await tick(n)
    await redis.cli('PUBLISH', 'ticks:tin', tickOf({ n: 10, run: 7, unsure: 2 }))
    await until('the counters', async () => (await page.counters()).lost > 0)
    expect(await page.counters()).toMatchObject({ lost: 2, doubled: 1, gaps: 0 })
  })
})

async function setRate(perSecond: number): Promise<void> {
  await fetch(`${demo.url}/api/rate`, { method: 'POST', body: JSON.stringify({ perSecond }) })
}

function tickOf(numbers: { n: number; run: number; unsure: number }): string {
  return JSON.stringify({ price: 300, at: Date.now(), ...numbers })
}
