import type { AddressInfo } from 'node:net'
import { broadcaster } from '@broadcaster/server'
import express from 'express'
import type { Frame, Page, Worker } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { launchChromium } from '../support/chromium.ts'
import { tidy } from '../support/tidy.ts'
import { bundleClient } from './clientScript.ts'

// A path is resolved like any other URL in the same place. Only a real browser shows how.

const browser = tidy(await launchChromium())
// Pages of one context share a cache and a process.
const context = await browser.newContext()
const script = await bundleClient()

let origin: string
/** The paths on which clients connected, in order. */
let reached: string[] = []
let page: Page

beforeAll(async () => {
  const app = express()
  // A path on the page resolves to the first one, and with `<base href="/app/">` to the second one.
  for (const path of ['/broadcast', '/app/broadcast']) {
    const live = broadcaster({
      redis: false,
      checkOrigin: () => true, // A sandboxed frame has no origin.
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
  /** Connects a client in this place. Returns the outcome and the paths on which clients connected. */
  async function connect(place: Page | Frame | Worker, path: string): Promise<[string, ...string[]]> {
    const outcome = await (place as Page).evaluate(connectThere, [path, mode] as const)
    return [outcome, ...reached]
  }

  const connected = (path: string) => [`connected over ${mode}`, path]

  it('against the page', async () => {
    await page.goto(`${origin}/`)
    expect(await connect(page, '/broadcast')).toEqual(connected('/broadcast'))
  })

  it('against the <base> of the page', async () => {
    await page.goto(`${origin}/?head=${encodeURIComponent(withBase)}`)
    expect(await connect(page, 'broadcast')).toEqual(connected('/app/broadcast'))
  })

  it('against the origin of <base>, if it starts with a slash', async () => {
    const elsewhere = origin.replace('127.0.0.1', 'localhost')
    await page.goto(`${elsewhere}/?head=${encodeURIComponent(`<base href="${origin}/app/">`)}`)
    expect(await connect(page, '/broadcast')).toEqual(connected('/broadcast'))
  })

  it.each([
    ['against the page in a srcdoc frame', '', '', '/broadcast', '/broadcast'],
    ['against the <base> of the page in a srcdoc frame', withBase, '', 'broadcast', '/app/broadcast'],
    ['against the <base> of the frame in a srcdoc frame', '', withBase, 'broadcast', '/app/broadcast'],
  ])('%s', async (_what, head, frameHead, path, target) => {
    await page.goto(`${origin}/?head=${encodeURIComponent(head)}`)
    expect(await connect(await addFrame({ srcdoc: frameHead }), path)).toEqual(connected(target))
  })

  it('against the page in a sandboxed srcdoc frame, which has no origin', async () => {
    await page.goto(`${origin}/`)
    const frame = await addFrame({ srcdoc: '', sandbox: 'allow-scripts' })
    expect(await connect(frame, '/broadcast')).toEqual(connected('/broadcast'))
  })

  it('against the page in an about:blank frame', async () => {
    await page.goto(`${origin}/?head=${encodeURIComponent(withBase)}`)
    const frame = await addFrame({})
    expect(frame.url()).toBe('about:blank')
    expect(await connect(frame, 'broadcast')).toEqual(connected('/app/broadcast'))
  })

  it('against the URL of its script in a worker', async () => {
    await page.goto(`${origin}/`)
    const worker = await startWorker('/app/worker.js')
    expect(await connect(worker, 'broadcast')).toEqual(connected('/app/broadcast'))
  })

  it('with an error in a worker made from a Blob, where only a whole URL works', async () => {
    await page.goto(`${origin}/`)
    const url = await page.evaluate(
      (client) => URL.createObjectURL(new Blob([`importScripts('${client}'); postMessage('ready')`])),
      `${origin}/client.js`,
    )
    const worker = await startWorker(url)
    const [refusal] = await connect(worker, '/broadcast')
    expect(refusal).toMatch(/^options: '\/broadcast' is not a whole URL, and .* \(blob:http/)
    expect(await connect(worker, `${origin}/broadcast`)).toEqual(connected('/broadcast'))
  })

  /** A frame with the client in it. Without a `srcdoc`, the page adds the script to the frame. */
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
  // The script has set this global.
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
