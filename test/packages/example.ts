import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { expect, onTestFinished } from 'vitest'
import type { Browser, Page } from 'playwright-core'
import { tidy } from '../support/tidy.ts'
import { PATIENCE_MS, until, within } from '../support/waiting.ts'
import { packed } from './packed.ts'

/** Starts `server.js` of an example on a free port, and returns the URL that it prints. */
export function startExample(name: string, env?: Readonly<Record<string, string>>): Promise<string> {
  return startProject(`${packed}/examples/${name}`, 'server.js', env)
}

export async function startProject(
  directory: string,
  program: string,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const { NODE_OPTIONS: _, NODE_ENV: __, ...own } = process.env
  const child = spawn(process.execPath, [program], {
    cwd: directory,
    env: { ...own, PORT: '0', NEXT_TELEMETRY_DISABLED: '1', ...env },
  })
  tidy({ stop: () => child.kill('SIGKILL') })
  let output = ''
  const url = new Promise<string>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        output += `${line}\n`
        const [address] = /^http:\S+/.exec(line) ?? []
        if (address !== undefined) resolve(address)
      })
    }
    child.on('close', (code) => reject(new Error(`${directory} ended with ${code}:\n${output}`)))
  })
  return within(url, `${program} of ${directory} to listen`)
}

/** A page of an example. The test fails if the page or React reports an error or a warning. */
export class ExamplePage {
  readonly page: Page
  /** The types and channels of the frames that the page sent, for each WebSocket to the broadcaster. */
  readonly sent: string[][] = []
  readonly #complaints: string[] = []

  constructor(page: Page) {
    this.page = page
    page.setDefaultTimeout(PATIENCE_MS)
    page.on('websocket', (socket) => {
      if (!new URL(socket.url()).pathname.startsWith('/broadcast')) return
      const frames: string[] = []
      this.sent.push(frames)
      socket.on('framesent', ({ payload }) => {
        const { __type, channel = '' } = JSON.parse(String(payload)) as { __type: string; channel?: string }
        frames.push(`${__type} ${channel}`.trim())
      })
    })
    page.on('pageerror', (error) => this.#complaints.push(error.message))
    page.on('console', (message) => {
      const isFavicon = message.location().url.endsWith('/favicon.ico')
      if (['error', 'warning'].includes(message.type()) && !isFavicon) this.#complaints.push(message.text())
    })
  }

  static async open(browser: Browser, url: string): Promise<ExamplePage> {
    const opened = new ExamplePage(await browser.newPage())
    onTestFinished(() => opened.page.close())
    await opened.page.goto(url)
    await opened.page.getByRole('status').filter({ hasText: 'subscribed' }).waitFor()
    return opened
  }

  async publish(headline: string): Promise<void> {
    await this.page.getByLabel('Headline').fill(headline)
    await this.page.getByRole('button', { name: 'Publish' }).click()
  }

  async showsHeadlines(...headlines: readonly string[]): Promise<void> {
    const shown = () => this.page.getByRole('listitem').allTextContents()
    await until(`the page to show ${headlines.join(', ')}`, async () => {
      return (await shown()).join('\n') === headlines.join('\n')
    })
  }

  complainsOfNothing(): void {
    expect(this.#complaints).toEqual([])
  }
}
