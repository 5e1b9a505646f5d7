import type { AddressInfo } from 'node:net'
import { broadcaster } from '@broadcaster/server'
import express from 'express'
import type { Frame, Page, Worker } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { launchChromium } from '../support/chromium.ts'
import { tidy } from '../support/tidy.ts'
import { bundleClient } from './clientScript.ts'

// A path is taken as the browser takes every other URL of the place: only a browser knows.

const browser = tidy(await launchChromium())
// Pages of one context share its cache and its process.
const context = await browser.newContext()
const script = await bundleClient()

let origin: string
/** Where clients were let in, in the order of their coming. */
let reached: string[] = []
let page: Page

beforeAll(async () => {
  const app = express()
  // One is what a path of the page reaches, the other what it reaches below `<base href="/app/">`.
  for (const path of ['/broadcast', '/app/broadcast']) {
    const live = broadcaster({
      redis: false,
      checkOrigin: () => true, // A sandboxed frame has none.
      canConnect: (_auth, request) => {
        reached.push(request.originalUrl)
        return true
      },
    })
    app.use(path, live)
    afterAll(() => live.close())
  }
  app.get('/client.js', (_request, response) => void response.type('js').send(script))
  app.get('/app/worker.js', (_request, response) => {
    response.type('js').send("importScripts('/client.js'); postMessage('ready')")
  })
  app.get('/', (request, response) => {
    response.send(`<!doctype html>${String(request.query['head'] ?? '')}<script src="/client.js"></script>`)
  })
  const server = app.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  tidy({ close: () => server.close().closeAllConnections() })
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

beforeEach(async () => {
  reached = []
  page = await context.newPage()
})

afterEach(() => page.close())

const modes = ['websocket', 'longpoll'] as const
const withBase = '<base href="/app/">'

describe.each(modes)('over %s a path is resolved', (mode) => {
  /** What comes of a client there, and where it came. */
  async function connect(place: Page | Frame | Worker, path: string): Promise<[string, ...string[]]> {
    const outcome = await (place as Page).evaluate(connectThere, [path, mode] as const)
    return [outcome, ...reached]
  }

  const connected = (path: string) => [`connected over ${mode}`, path]

  it('as those of the page', async () => {
    await page.goto(`${origin}/`)
    expect(await connect(page, '/broadcast')).toEqual(connected('/broadcast'))
  })

  it('as the page’s <base> says', async () => {
    await page.goto(`${origin}/?head=${encodeURIComponent(withBase)}`)
    expect(await connect(page, 'broadcast')).toEqual(connected('/app/broadcast'))
  })

  it('and beginning with a slash, at the origin that <base> names', async () => {
    const elsewhere = origin.replace('127.0.0.1', 'localhost')
    await page.goto(`${elsewhere}/?head=${encodeURIComponent(`<base href="${origin}/app/">`)}`)
    expect(await connect(page, '/broadcast')).toEqual(connected('/broadcast'))
  })

  it.each([
    ['as the page’s in a srcdoc frame', '', '', '/broadcast', '/broadcast'],
    ['as the page’s <base> says in a srcdoc frame', withBase, '', 'broadcast', '/app/broadcast'],
    ['as the frame’s own <base> says in a srcdoc frame', '', withBase, 'broadcast', '/app/broadcast'],
  ])('%s', async (_what, head, frameHead, path, target) => {
    await page.goto(`${origin}/?head=${encodeURIComponent(head)}`)
    expect(await connect(await addFrame({ srcdoc: frameHead }), path)).toEqual(connected(target))
  })

  it('as the page’s in a sandboxed srcdoc frame, which has no origin', async () => {
    await page.goto(`${origin}/`)
    const frame = await addFrame({ srcdoc: '', sandbox: 'allow-scripts' })
    expect(await connect(frame, '/broadcast')).toEqual(connected('/broadcast'))
  })

  it('as the page’s in a frame without an address, about:blank', async () => {
    await page.goto(`${origin}/?head=${encodeURIComponent(withBase)}`)
    const frame = await addFrame({})
    expect(frame.url()).toBe('about:blank')
    expect(await connect(frame, 'broadcast')).toEqual(connected('/app/broadcast'))
  })

  it('by its script’s address in a worker', async () => {
    await page.goto(`${origin}/`)
    const worker = await startWorker('/app/worker.js')
    expect(await connect(worker, 'broadcast')).toEqual(connected('/app/broadcast'))
  })

  it('in a worker made from a Blob not at all, which it says; a whole URL is', async () => {
    await page.goto(`${origin}/`)
    const url = await page.evaluate(
      (client) => URL.createObjectURL(new Blob([`importScripts('${client}'); postMessage('ready')`])),
      `${origin}/client.js`,
    )
    const worker = await startWorker(url)
    const [refusal] = await connect(worker, '/broadcast')
    expect(refusal).toMatch(/^options: '\/broadcast' is no whole URL, and .* \(blob:http/)
    expect(await connect(worker, `${origin}/broadcast`)).toEqual(connected('/broadcast'))
  })

  /** A frame with the client in it; without a `srcdoc` its script is put there by the page. */
  async function addFrame({ srcdoc, sandbox }: { srcdoc?: string; sandbox?: string }): Promise<Frame> {
    await page.evaluate(
      async ([head, permissions]) => {
        const frame = document.createElement('iframe')
        if (permissions !== undefined) frame.setAttribute('sandbox', permissions)
        const loaded = new Promise((resolve) => (frame.onload = resolve))
        if (head !== undefined) {
          frame.srcdoc = `${head}<script src="/client.js"></script>`
          document.body.append(frame)
          return void (await loaded)
        }
        document.body.append(frame)
        const inside = frame.contentDocument!.createElement('script')
        const ready = new Promise((resolve) => (inside.onload = resolve))
        inside.src = '/client.js'
        frame.contentDocument!.body.append(inside)
        await ready
      },
      [srcdoc, sandbox] as const,
    )
    return page.frames()[1]!
  }

  async function startWorker(url: string): Promise<Worker> {
    const started = page.waitForEvent('worker')
    await page.evaluate(
      (address) =>
        new Promise((resolve, reject) => {
          const worker = new Worker(address)
          worker.onmessage = resolve
          worker.onerror = () => reject(new Error(`The worker ${address} did not start`))
        }),
      url,
    )
    return started
  }
})

/** Runs in the browser. */
async function connectThere([path, mode]: readonly [string, (typeof modes)[number]]): Promise<string> {
  // What the script has left there.
  const { BroadcasterClient } = (globalThis as any).broadcasterClient
  const client = new BroadcasterClient(path, { mode, maxAttempts: 0 })
  try {
    await client.connect()
    await client.subscribe('news', () => {}).ready
    return `connected over ${client.transport}`
  } catch (error: any) {
    return `${error.code}: ${error.message}`
  } finally {
    await client.disconnect()
  }
}
