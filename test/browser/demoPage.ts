import type { Browser, BrowserContext, Locator, Page } from 'playwright-core'
import { inFull } from '../support/extent.ts'
import { PATIENCE_MS, until } from '../support/waiting.ts'

/** How often a page is asked. Each time costs its process and ours some milliseconds. */
const ASK = { everyMs: 50 }

export type TransportChoice = 'Auto' | 'WebSocket' | 'Long-poll'

export type Counters = { received: number; lost: number; doubled: number; gaps: number }

/** A page with the demo. Its methods do and return what a user does and sees. */
export class DemoPage {
  readonly page: Page
  /** The parsed frames that the page sent to the broadcaster, for each WebSocket connection. */
  readonly sent: { __type: string; channel?: string }[][] = []
  /** Errors and warnings of the page and of React. */
  readonly #errors: string[] = []

  constructor(page: Page) {
    this.page = page
    page.setDefaultTimeout(PATIENCE_MS)
    page.on('websocket', (socket) => {
      if (!new URL(socket.url()).pathname.startsWith('/broadcast')) return
      const frames: { __type: string; channel?: string }[] = []
      this.sent.push(frames)
      socket.on('framesent', ({ payload }) => frames.push(JSON.parse(String(payload))))
    })
    page.on('pageerror', (error) => this.#errors.push(error.message))
    page.on('console', (message) => {
      // Chromium logs every HTTP error answer, and some tests cause them on purpose.
      const isAnswer = message.text().startsWith('Failed to load resource')
      if (message.type() === 'error' && !isAnswer) this.#errors.push(message.text())
    })
  }

  async choose(transport: TransportChoice): Promise<void> {
    await this.page.getByRole('radio', { name: transport }).check({ force: true })
  }

  async showsConnection(text: string): Promise<void> {
    await this.page.getByRole('status', { name: 'Connection' }).filter({ hasText: text }).waitFor()
  }

  card(channel: string): Locator {
    return this.page.getByRole('article', { name: channel, exact: true })
  }

  async showsStatus(channel: string, status: string): Promise<void> {
    await this.card(channel).getByText(status, { exact: true }).waitFor()
  }

  async showsMessage(channel: string, body: string): Promise<void> {
    await this.card(channel).getByRole('listitem').filter({ hasText: body }).first().waitFor()
  }

  /** The lines of a channel, oldest first, without the time of day. */
  async lines(channel: string): Promise<string[]> {
    return (await this.card(channel).locator('.line__body, .line--gap').allTextContents()).toReversed()
  }

  async showsLines(channel: string, expected: readonly string[]): Promise<void> {
    const wanted = expected.join('\n')
    await until(
      `${channel} to show ${expected.join(', ')}`,
      async () => (await this.lines(channel)).join('\n') === wanted,
      ASK,
    )
  }

  async toggle(channel: string): Promise<void> {
    await this.page.getByRole('button', { name: channel, exact: true }).click()
  }

  async add(channel: string): Promise<void> {
    await this.page.getByLabel('Channel to add').fill(channel)
    await this.page.getByRole('button', { name: 'Add' }).click()
  }

  async publish(channel: string, body: string): Promise<void> {
    await this.page.getByLabel('Channel', { exact: true }).fill(channel)
    await this.page.getByLabel('Message', { exact: true }).fill(body)
    await this.page.getByRole('button', { name: 'Publish', exact: true }).click()
  }

  async signIn(name: string, role: 'visitor' | 'trader' = 'trader'): Promise<void> {
    await this.page.getByRole('banner').getByRole('button').click()
    const form = this.page.getByRole('dialog', { name: 'Sign in' })
    await form.getByLabel('Name').fill(name)
    await form.getByRole('radio', { name: role }).check()
    await form.locator('button[type=submit]').click()
    await this.page
      .getByRole('banner')
      .getByRole('button', { name: `${name}, ${role}` })
      .waitFor()
  }

  /** The counters that the page shows. */
  async counters(): Promise<Counters> {
    const values = await this.page
      .locator('[data-counter][data-value]')
      .evaluateAll((elements) => elements.map((element) => Number(element.getAttribute('data-value'))))
    const [received, lost, doubled, gaps] = values as [number, number, number, number]
    return { received, lost, doubled, gaps }
  }

  /** Waits until the page has received so many messages more. */
  async receives(count: number): Promise<void> {
    const { received } = await this.counters()
    await until(
      `${count} messages more`,
      async () => (await this.counters()).received >= received + count,
      ASK,
    )
  }

  /** Waits until everything has arrived after this fault. */
  async recoversFrom(fault: string): Promise<void> {
    await this.page
      .locator('.counter', { hasText: 'Recovered in' })
      .getByText(fault)
      .waitFor({ state: 'attached' })
  }

  async showsEvent(text: string): Promise<void> {
    await this.page.getByRole('list', { name: 'Timeline' }).getByText(text).first().waitFor()
  }

  /** Presses a button of "Break it". Its name is followed by a hint. */
  async breaks(name: string): Promise<void> {
    await this.page.getByRole('button', { name: new RegExp(`^${name}`) }).click()
  }

  /** Whether everything has arrived since the last fault. */
  async hasRecovered(): Promise<boolean> {
    return (
      (await this.page.locator('.counter', { hasText: 'Recovered in' }).getByText('not yet').count()) === 0
    )
  }

  /** The recoveries in the timeline: their times, and how long each took, in ms. */
  async recoveries(): Promise<ReadonlyMap<string, number>> {
    const events = this.page.getByRole('list', { name: 'Timeline' }).getByRole('listitem')
    const texts = await events.filter({ hasText: 'Everything has arrived' }).allTextContents()
    return new Map(texts.map((text) => [text, Number(/after (\d+) ms/.exec(text)![1])]))
  }

  async setRate(steps: number): Promise<void> {
    const slider = this.page.getByRole('slider')
    await slider.focus()
    await this.page.keyboard.press('Home')
    for (let step = 0; step < steps; step++) await this.page.keyboard.press('ArrowRight')
  }

  /** Fails if the page or React reported errors or warnings. */
  async close(): Promise<void> {
    await this.page.close()
    if (this.#errors.length > 0) throw new Error(`The page logged errors:\n${this.#errors.join('\n')}`)
  }

  async press(name: string): Promise<void> {
    await this.page.getByRole('button', { name, exact: true }).click()
  }
}

export async function openDemo(browser: Browser | BrowserContext, url: string): Promise<DemoPage> {
  const demo = new DemoPage(await browser.newPage())
  // The chart moves once a second. Where it is tested, pages are opened without this function.
  await demo.page.emulateMedia({ reducedMotion: inFull('no-preference', 'reduce') })
  await demo.page.goto(url)
  return demo
}
