import type { Browser, BrowserContext, Locator, Page } from 'playwright-core'
import { PATIENCE_MS, until } from '../support/waiting.ts'

export type TransportChoice = 'Auto' | 'WebSocket' | 'Long-poll'

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

  async signIn(token: string): Promise<void> {
    await this.page.getByLabel('Token').fill(token)
    await this.page.getByRole('button', { name: 'Sign in' }).click()
  }

  /** Fails if the page or React reported errors or warnings. */
  async close(): Promise<void> {
    await this.page.close()
    if (this.#errors.length > 0) throw new Error(`The page logged errors:\n${this.#errors.join('\n')}`)
  }

  async press(name: string): Promise<void> {
    await this.page.getByRole('button', { name }).click()
  }
}

export async function openDemo(browser: Browser | BrowserContext, url: string): Promise<DemoPage> {
  const demo = new DemoPage(await browser.newPage())
  await demo.page.goto(url)
  return demo
}
