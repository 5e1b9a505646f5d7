import type { Locator, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { launchChromium } from '../support/chromium.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { PATIENCE_MS, until } from '../support/waiting.ts'
import { axeFindings, bundleDevtools } from './devtoolsPage.ts'

const browser = tidy(await launchChromium())
const context = await browser.newContext()
afterAll(() => context.close())
const script = await bundleDevtools()

/** A page that forbids inline styles and scripts, and would break everything that is not in a shadow root. */
const html = `<!doctype html><html lang="en"><title>An application</title><link rel="stylesheet" href="/page.css">
<main><h1>An application</h1><p id="news"></p><button id="behind">Behind</button></main><script src="/page.js"></script>`
const css = `html { font-size: 4px } * { line-height: 3 } button, p, ol { color: #fff !important; background: #fff; }
h1, #behind { color: #000 !important; background: #fff }`
const pageScript = `
const { BroadcasterClient, mountDevtools } = devtools
globalThis.client = new BroadcasterClient('/broadcast', { mode: new URLSearchParams(location.search).get('mode') ?? 'auto' })
globalThis.heard = []
globalThis.gaps = []
client.subscribe('news', (body) => heard.push(body), { onGap: (gap) => gaps.push(gap) })
globalThis.unmount = mountDevtools(client)`

let server: TestServer
let page: Page
const errors: string[] = []

beforeAll(async () => {
  server = await startServer(
    { redis: false, canSubscribe: (_auth, channel) => channel !== 'secret' },
    {
      before: (app) => {
        app.get('/', (_request, response) => {
          response
            .set('Content-Security-Policy', "default-src 'self'; require-trusted-types-for 'script'")
            .send(html)
        })
        app.get('/favicon.ico', (_request, response) => void response.sendStatus(204))
        app.get('/page.css', (_request, response) => void response.type('css').send(css))
        app.get('/page.js', (_request, response) => void response.type('js').send(`${script};${pageScript}`))
      },
    },
  )
})

beforeEach(async () => {
  page = await context.newPage()
  page.setDefaultTimeout(PATIENCE_MS)
  page.on('pageerror', (error) => errors.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text())
  })
})

afterEach(async () => {
  await page.close()
  expect(errors.splice(0)).toEqual([])
})

async function open(query = ''): Promise<void> {
  await page.goto(`${server.origin}/${query}`)
  await button('broadcaster devtools').click()
  await shows('Connected over')
}

const button = (name: string): Locator => page.getByRole('button', { name, exact: true })
const section = (name: string | RegExp): Locator => page.getByRole('region', { name })
const timeline = (): Locator => section('Timeline').getByRole('listitem')

/** Waits until the timeline has that. */
async function shows(text: string): Promise<void> {
  await timeline().filter({ hasText: text }).first().waitFor()
}

async function publish(...bodies: string[]): Promise<void> {
  for (const body of bodies) await server.publish('news', body)
}

function focusedName(): Promise<string> {
  return page.evaluate(() => {
    const focused = document.activeElement?.shadowRoot?.activeElement
    return focused?.getAttribute('aria-label') ?? focused?.textContent ?? ''
  })
}

describe('the devtools', () => {
  it.each([
    ['light', 1280],
    ['dark', 1280],
    ['light', 360],
    ['dark', 360],
  ] as const)(
    'have nothing that axe finds, %s and %i pixels wide, closed and open',
    async (colorScheme, width) => {
      await page.emulateMedia({ colorScheme })
      await page.setViewportSize({ width, height: 740 })
      await page.goto(server.origin)
      await button('broadcaster devtools').waitFor()
      expect(await axeFindings(page)).toEqual([])
      await button('broadcaster devtools').click()
      await publish('text', '{"order":{"id":7,"lines":[1,2]}}')
      await page.evaluate('client.subscribe("secret", () => {})')
      await shows('Refused: secret')
      await section('Last messages').getByText('{"order"').click()
      await section('Last messages').getByText('order:').click()
      await page.evaluate('client.inspection.drop("a test")')
      await shows('Connection lost: a test')
      expect(await axeFindings(page)).toEqual([])
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width)
    },
  )

  it('show why the connection ended, and the messages that were replayed', async () => {
    await open()
    await section('Connection')
      .getByText(/handshake \d.* round trip \d/)
      .waitFor()
    await publish('before')
    await button('Drop connection').click()
    await shows('Connection lost: Dropped by the devtools. Next attempt in')
    await shows('Connected over WebSocket')
    await button('Disconnect').click()
    await shows('Disconnected by the application')
    await publish('meanwhile 1', 'meanwhile 2')
    await button('Connect').click()
    await shows('Messages replayed (2): news')
    const messages = section('Last messages of news').getByRole('listitem')
    await messages.filter({ hasText: 'replayed meanwhile 2' }).waitFor()
    expect(await page.evaluate('heard')).toEqual(['before', 'meanwhile 1', 'meanwhile 2'])
  })

  it('force a transport, and go back to auto', async () => {
    await open()
    await button('Long-poll').click()
    await shows('Connected over long-poll')
    expect(await button('Long-poll').getAttribute('aria-pressed')).toBe('true')
    await publish('over long-poll')
    await section('Last messages').getByText('over long-poll').waitFor()
    await button('Auto').click()
    await timeline().first().filter({ hasText: 'Connected over WebSocket' }).waitFor()
    expect(await page.evaluate('client.transport')).toBe('websocket')
  })

  it('say why auto fell back to long-poll', async () => {
    await page.routeWebSocket(
      '**/broadcast',
      (socket) => void socket.close({ code: 1011, reason: 'no proxy' }),
    )
    await open()
    await shows('WebSocket failed: no proxy (1011)')
    await section('Connection').getByText('long-poll, because WebSocket failed: no proxy (1011)').waitFor()
  })

  it('simulate a gap, of which the application is told', async () => {
    await open()
    await publish('first')
    await section('Last messages of news').getByText('first').waitFor()
    await page.getByLabel('Reason of the gap').selectOption('broker')
    await button('Simulate gap').click()
    await shows('Gap, Redis was away: news')
    expect(await page.evaluate('gaps')).toMatchObject([{ channel: 'news', reason: 'broker' }])
    await publish('second')
    await section('Last messages of news').getByText('second').waitFor()
  })

  it('can be used with the keyboard only: open, resize, choose, close', async () => {
    await page.goto(server.origin)
    await button('broadcaster devtools').focus()
    await page.keyboard.press('Enter')
    expect(await focusedName()).toBe('Close devtools')
    await page.keyboard.press('Shift+Tab')
    const separator = page.getByRole('separator', { name: 'Height of the devtools' })
    const height = async () => Number(await separator.getAttribute('aria-valuenow'))
    const before = await height()
    await page.keyboard.press('ArrowUp')
    expect(await height()).toBe(before + 20)
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('ArrowDown')
    expect(await height()).toBe(before - 20)
    await page.keyboard.press('Home')
    expect(await height()).toBe(160)
    await page.keyboard.press('End')
    expect(await height()).toBe(Number(await separator.getAttribute('aria-valuemax')))
    await page.keyboard.press('Escape')
    await separator.waitFor({ state: 'hidden' })
    expect(await focusedName()).toContain('broadcaster')
  })

  it('are resized with the pointer', async () => {
    await open()
    const separator = page.getByRole('separator')
    const box = (await separator.boundingBox())!
    await page.mouse.move(box.x + 100, box.y + 5)
    await page.mouse.down()
    await page.mouse.move(box.x + 100, box.y - 95)
    await page.mouse.up()
    await page.mouse.move(box.x + 100, box.y - 300)
    expect((await separator.boundingBox())!.y).toBe(box.y - 100)
  })

  it('show bodies as text, never as HTML', async () => {
    await open()
    const attack = '<img src=x onerror="globalThis.isAttacked = true">'
    await publish(attack, JSON.stringify({ [attack]: attack }))
    await page.evaluate((name) => void (globalThis as any).client.subscribe(name, () => {}), attack)
    const message = section('Last messages').getByText('{"<img')
    await message.click()
    await section('Last messages').getByText(attack).last().waitFor()
    await section('Channels').getByText(attack).waitFor()
    expect(await page.evaluate('globalThis.isAttacked')).toBeUndefined()
    expect(await page.locator('broadcaster-devtools img').count()).toBe(0)
  })

  it('keep the focus, and what is unfolded, when messages arrive', async () => {
    await open()
    await publish('{"a":{"b":1}}')
    const summary = section('Last messages').locator('summary').first()
    await summary.focus()
    await page.keyboard.press('Enter')
    await section('Last messages').getByText('a:').waitFor()
    await publish('{"c":2}')
    await section('Last messages').getByText('{"c":2}').waitFor()
    expect(await focusedName()).toContain('{"a":{"b":1}}')
    await section('Last messages').getByText('a:').waitFor()
  })

  it('do not let the page hear of clicks, keys and the focus, so its dialogs stay open and keep no focus', async () => {
    await page.goto(server.origin)
    await page.evaluate(() => {
      const behind = document.getElementById('behind')!
      document.addEventListener('focusin', () => behind.focus())
      for (const name of ['pointerdown', 'click', 'keydown']) {
        document.addEventListener(name, () => document.body.setAttribute('data-heard', name))
      }
      document.body.style.pointerEvents = 'none'
    })
    await button('broadcaster devtools').click()
    await page.getByLabel('Filter channels').click()
    await page.keyboard.type('new')
    expect(await page.getByLabel('Filter channels').inputValue()).toBe('new')
    expect(await page.evaluate('document.body.dataset.heard')).toBeUndefined()
  })

  it('render a burst of 5,000 messages a few times, and keep 50', async () => {
    await open()
    await page.evaluate(() => {
      const root = document.querySelector('broadcaster-devtools')!.shadowRoot!
      const counter = globalThis as any
      counter.renders = 0
      new MutationObserver(() => counter.renders++).observe(root, {
        subtree: true,
        childList: true,
        characterData: true,
      })
    })
    for (let index = 1; index <= 5_000; index++) void server.publish('news', `burst ${index}`)
    await section('Last messages').getByText('burst 5000', { exact: true }).waitFor()
    expect(await section('Last messages').getByRole('listitem').count()).toBe(50)
    expect(await page.evaluate('renders')).toBeLessThan(500)
    expect(await page.evaluate('heard.length')).toBe(5_000)
  })

  it('show several clients, one at a time, and go when the last one is unmounted', async () => {
    await open()
    await page.evaluate(() => {
      const { devtools, client } = globalThis as any
      const other = new devtools.BroadcasterClient('/broadcast?other')
      ;(globalThis as any).unmountOther = devtools.mountDevtools(other)
      other.subscribe('other news', () => {})
      return client.status
    })
    await page.getByLabel('Client', { exact: true }).selectOption('2: /broadcast?other')
    await section('Channels').getByText('other news').waitFor()
    await page.evaluate('unmountOther(); unmountOther()')
    await section('Channels').getByText('news', { exact: true }).waitFor()
    await page.evaluate('unmount()')
    await until(
      'the devtools to be gone',
      async () => (await page.locator('broadcaster-devtools').count()) === 0,
    )
  })
})
