import { BroadcasterClient } from '@broadcaster/client'
import type { BrowserContext } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startDemo, type Demo } from '../../demo/startDemo.ts'
import { launchChromium } from '../support/chromium.ts'
import { inFull } from '../support/extent.ts'
import { channelName } from '../support/names.ts'
import { startRedis } from '../support/redis.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'
import { openDemo, type DemoPage, type TransportChoice } from './demoPage.ts'

const browser = tidy(await launchChromium())
const redis = tidy(await startRedis())

type Backend = {
  readonly name: string
  readonly demo: Demo
  publish(channel: string, body: string): Promise<unknown>
}

const inProcess = tidy(await startDemo())
const onRedis = tidy(await startDemo({ redis: redis.url }))
// Each price costs the page CPU time while it is tested with something else.
const rate = JSON.stringify({ perSecond: inFull(100, 20) })
for (const { url } of [inProcess, onRedis]) await fetch(`${url}/api/rate`, { method: 'POST', body: rate })

const backends: readonly Backend[] = [
  {
    name: 'in process',
    demo: inProcess,
    publish: (channel, body) =>
      fetch(`${inProcess.url}/api/publish`, { method: 'POST', body: JSON.stringify({ channel, body }) }),
  },
  // The command that a user types into a shell.
  { name: 'on Redis', demo: onRedis, publish: (channel, body) => redis.cli('PUBLISH', channel, body) },
]
const transports: readonly TransportChoice[] = ['Long-poll', 'WebSocket']
const all = backends.flatMap((backend) => transports.map((transport) => ({ ...backend, transport })))
// Each backend and each transport once.
const matrix = inFull(
  all,
  backends.map((backend, i) => ({ ...backend, transport: transports[i]! })),
)

describe.each(matrix)('the demo $name over $transport', ({ demo, publish, transport }) => {
  let page: DemoPage

  // All tests use one page, because loading it takes longer than everything else.
  beforeAll(async () => {
    page = await openDemo(browser, demo.url)
    await page.choose(transport)
  })

  // Another user has another client.
  beforeEach(async () => {
    await page.signIn(channelName('user'))
    await page.showsConnection(`Connected over ${transport}`)
  })

  afterAll(() => page.close())

  async function subscribe(label: string): Promise<string> {
    const channel = channelName(label)
    await page.add(channel)
    await page.showsStatus(channel, 'Live')
    return channel
  }

  it('shows the messages of each channel in order', async () => {
    const [news, weather] = [await subscribe('news'), await subscribe('weather')]
    for (let count = 1; count <= 5; count++) await publish(news, `headline ${count}`)
    await publish(weather, 'rain')
    await page.showsLines(news, ['headline 1', 'headline 2', 'headline 3', 'headline 4', 'headline 5'])
    await page.showsLines(weather, ['rain'])
  })

  it('shows the prices of the simulator, and has counted each of them', async () => {
    await until('fifty prices', async () => (await page.counters()).received >= 50)
    expect(await page.counters()).toMatchObject({ lost: 0, doubled: 0, gaps: 0 })
    const cells = page.page.getByRole('row').filter({ hasText: 'coffee' }).getByRole('cell')
    expect(await cells.first().textContent()).toMatch(/^\d+\.\d\d$/)
  })

  it('shows a message that its own form publishes', async () => {
    const news = await subscribe('news')
    await page.publish(news, 'from the form')
    await page.showsLines(news, ['from the form'])
  })

  it('unsubscribes from a channel, and does not get messages that are published while it is unsubscribed', async () => {
    const [news, other] = [await subscribe('news with spaces'), await subscribe('other')]
    await publish(news, 'heard')
    await page.showsLines(news, ['heard'])
    await page.press(`Unsubscribe from ${news}`)
    await page.card(news).waitFor({ state: 'detached' })
    await publish(news, 'not heard')
    await publish(other, 'heard')
    await page.showsLines(other, ['heard'])
    await page.toggle(news)
    await page.showsStatus(news, 'Live')
    await publish(news, 'heard again')
    await page.showsLines(news, ['heard again'])
  })

  it('shows that a channel is refused, and the reason', async () => {
    await page.signIn(channelName('user'), 'visitor')
    await page.toggle('desk')
    await page.showsStatus('desk', 'Refused')
    await page.card('desk').getByText('Channel refused').waitFor()
    await page.toggle('desk')
    await page.showsConnection(`Connected over ${transport}`)
  })

  it('is refused with a forged token, and accepted again with a real one', async () => {
    const news = await subscribe('news')
    await page.breaks('Forge the token')
    await page.showsConnection('Refused')
    await page.showsStatus(news, 'Failed')
    await page.breaks('Use the real token')
    await page.showsConnection(`Connected over ${transport}`)
    await page.showsStatus(news, 'Live')
    await publish(news, 'accepted')
    await page.showsLines(news, ['accepted'])
  })

  it('gets messages that were published while its connection was dropped', async () => {
    const news = await subscribe('news')
    await publish(news, 'before')
    await page.showsLines(news, ['before'])
    await page.press('Disconnect')
    await page.showsConnection('Disconnected')
    await publish(news, 'meanwhile 1')
    await publish(news, 'meanwhile 2')
    await page.press('Come back')
    await page.showsConnection(`Connected over ${transport}`)
    await publish(news, 'after')
    await page.showsLines(news, ['before', 'meanwhile 1', 'meanwhile 2', 'after'])
  })
})

describe('the page', () => {
  let context: BrowserContext
  const open: DemoPage[] = []

  // The pages share one cache.
  beforeAll(async () => {
    context = await browser.newContext()
  })

  afterEach(async () => {
    for (const page of open.splice(0)) await page.close()
  })

  afterAll(() => context.close())

  async function openPage(url: string): Promise<DemoPage> {
    const page = await openDemo(context, url)
    open.push(page)
    return page
  }

  it('makes one connection and one subscribe for each channel, although React runs effects twice', async () => {
    const page = await openPage(inProcess.url)
    await page.showsStatus('news', 'Live')
    await page.showsStatus('weather', 'Live')
    // The request of the last channel is sent last.
    await page.toggle('lunch')
    await page.showsStatus('lunch', 'Live')
    await page.toggle('lunch')
    await page.card('lunch').waitFor({ state: 'detached' })
    await page.add('marker')
    await page.showsStatus('marker', 'Live')

    expect(page.sent).toHaveLength(1)
    const requests = page.sent[0]!.map(({ __type, channel }) => `${__type} ${channel ?? ''}`)
    for (const name of [
      'auth ',
      'subscribe ticks:coffee',
      'subscribe ticks:tin',
      'subscribe notes',
      'subscribe news',
      'subscribe weather',
      'subscribe lunch',
      'subscribe marker',
    ]) {
      expect(requests.filter((request) => request === name)).toEqual([name])
    }
    expect(requests).not.toContain('unsubscribe news')
    expect(requests).not.toContain('unsubscribe weather')
  })

  it('does not disturb the WebSocket of hot reload on the same port', async () => {
    const { page } = await openPage('about:blank')
    const connected = page.waitForEvent('console', (message) => message.text().includes('[vite] connected'))
    await page.goto(inProcess.url)
    await connected
    await page.getByText('Live', { exact: true }).first().waitFor()
  })

  it('falls back to long-poll by itself if WebSockets are blocked', async () => {
    const page = await openPage('about:blank')
    await page.page.routeWebSocket('**/broadcast', (socket) => void socket.close({ code: 1011 }))
    await page.page.goto(inProcess.url)
    await page.showsConnection('Connected over Long-poll')
    await page.publish('news', 'all the same')
    await page.showsLines('news', ['all the same'])
  })

  it('handles a burst: it gets every message in order, and shows the newest 100', async () => {
    const page = await openPage(onRedis.url)
    await page.showsStatus('news', 'Live')
    await redis.cli('EVAL', "for i = 1, 2000 do redis.call('PUBLISH', 'news', 'burst ' .. i) end", '0')
    await page.showsLines(
      'news',
      Array.from({ length: 100 }, (_, index) => `burst ${1901 + index}`),
    )
  })

  it('shows the error when it can not publish', async () => {
    const page = await openPage(inProcess.url)
    await page.page.route('**/api/publish', (route) =>
      route.fulfill({ status: 503, json: { error: 'Redis is away' } }),
    )
    await page.publish('news', 'in vain')
    await page.page.getByRole('alert').filter({ hasText: 'Not published: Redis is away' }).waitFor()
  })

  it('can be used with the keyboard only, and never loses the focus', async () => {
    const { page } = await openPage(inProcess.url)
    const focused = () => page.evaluate(() => document.activeElement?.textContent ?? '')
    await page.getByRole('button', { name: 'lunch' }).focus()
    await page.keyboard.press('Space')
    await page.getByRole('button', { name: 'Unsubscribe from lunch' }).focus()
    await page.keyboard.press('Enter')
    await page.getByRole('article', { name: 'lunch' }).waitFor({ state: 'detached' })
    expect(await focused()).toBe('lunch')

    await page.getByRole('radio', { name: 'Auto' }).focus()
    await page.keyboard.press('ArrowRight')
    await page.keyboard.press('ArrowRight')
    await page.getByRole('status', { name: 'Connection' }).filter({ hasText: 'over Long-poll' }).waitFor()
    expect(
      await page
        .getByRole('radio', { name: 'Long-poll' })
        .evaluate((radio) => radio === document.activeElement),
    ).toBe(true)

    await page.getByRole('banner').getByRole('button').focus()
    await page.keyboard.press('Enter')
    await page.getByLabel('Name').focus()
    await page.keyboard.press('End')
    await page.keyboard.type('2')
    await page.keyboard.press('Enter')
    await page.getByRole('banner').getByRole('button', { name: 'alice2, trader' }).waitFor()
    expect(await focused()).toBe('alice2, trader')

    await page.getByRole('button', { name: 'Code of Market' }).focus()
    await page.keyboard.press('Enter')
    await page.getByRole('dialog', { name: 'Market: the code' }).waitFor()
    await page.keyboard.press('Escape')
    expect(await focused()).toBe('Code of Market')
  })

  it('fits on a phone with a width of 360 pixels', async () => {
    const { page } = await openPage(inProcess.url)
    await page.setViewportSize({ width: 360, height: 740 })
    await page.getByRole('button', { name: 'desk', exact: true }).click()
    await page.getByRole('article', { name: 'desk' }).getByText('Channel refused').waitFor()
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360)
  })
})

describe('POST /api/publish', () => {
  it.each([
    ['a body that is not JSON', '{"channel":', 'The body is not JSON'],
    ['a body that is not an object', '[1]', '"channel" is a string'],
    ['a missing channel', '{"body":"x"}', '"channel" is a string'],
    ['a channel that is not a string', '{"channel":7,"body":"x"}', '"channel" is a string'],
    ['a missing body', '{"channel":"news"}', 'Expected a "body"'],
    ['a channel with a publisher of its own', '{"channel":"desk","body":{}}', 'Not everybody may publish'],
  ])('answers 400 to %s, and the error says what is expected', async (_what, body, expected) => {
    const response = await fetch(`${inProcess.url}/api/publish`, { method: 'POST', body })
    expect(response.status).toBe(400)
    expect(((await response.json()) as { error: string }).error).toContain(expected)
  })

  it('publishes a body that is not a string as JSON', async () => {
    const client = new BroadcasterClient(`${inProcess.url}/broadcast`)
    const bodies: string[] = []
    await client.subscribe('json', (body) => bodies.push(body)).ready
    const body = '{"channel":"json","body":{"a":[1]}}'
    expect((await fetch(`${inProcess.url}/api/publish`, { method: 'POST', body })).status).toBe(204)
    await until('the message', () => bodies.length === 1)
    expect(bodies).toEqual(['{"a":[1]}'])
    await client.disconnect()
  })
})
