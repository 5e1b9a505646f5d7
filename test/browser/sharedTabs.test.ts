import type { Duplex } from 'node:stream'
import type { BrowserContext, CDPSession, Page } from 'playwright-core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { launchChromium } from '../support/chromium.ts'
import { inFull } from '../support/extent.ts'
import { channelName } from '../support/names.ts'
import { startServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'
import { bundleClient } from './clientScript.ts'

// Only a real browser has locks that it releases when a page is closed or has crashed.

const ROUNDS = inFull(20, 3)
const PER_SECOND = 200
const MESSAGES = 200

const script = await bundleClient()
const browser = tidy(await launchChromium())
/** The WebSockets that are open. */
const sockets = new Set<Duplex>()
/** The transport of each connection, in order. */
const made: string[] = []
const server = tidy(
  await startServer(
    {
      canConnect: (_auth, request) => {
        const { socket, headers } = request
        made.push(headers.upgrade === 'websocket' ? 'websocket' : 'longpoll')
        if (headers.upgrade === 'websocket') sockets.add(socket)
        socket.once('close', () => sockets.delete(socket))
        return true
      },
    },
    {
      before: (app) => {
        app.get('/client.js', (_request, response) => void response.type('js').send(script))
        app.get('/', (_request, response) => {
          response.send('<!doctype html><script src="/client.js"></script>')
        })
      },
    },
  ),
)

let context: BrowserContext

beforeEach(async () => {
  made.length = 0
  sockets.clear()
  context = await browser.newContext()
})

afterEach(() => context.close())

/** A page with a client, whose subscription is confirmed. */
async function openTab(channel: string, options: object): Promise<Page> {
  const page = await context.newPage()
  await page.goto(server.origin)
  await page.evaluate(startClient, [channel, options] as const)
  return page
}

/** Runs in the browser. */
async function startClient([channel, options]: readonly [string, any]): Promise<void> {
  const page = globalThis as any
  const { BroadcasterClient, shareTabs } = page.broadcasterClient
  page.bodies = []
  page.gaps = 0
  page.client = new BroadcasterClient('/broadcast', { ...options, shareTabs: shareTabs() })
  page.client.on('gap', () => page.gaps++)
  await page.client.subscribe(channel, (body: string) => page.bodies.push(Number(body))).ready
}

/** What a page has received after `first`, up to `last`, which it waits for. */
async function countersOf(page: Page, first: number, last: number) {
  await page.waitForFunction((body) => (globalThis as any).bodies.includes(body), last, { polling: 20 })
  const { bodies, gaps } = await page.evaluate(() => {
    const { bodies, gaps } = globalThis as any
    return { bodies: bodies as number[], gaps: gaps as number }
  })
  const seen = new Set(bodies)
  const wanted = Array.from({ length: last - first }, (_, index) => first + 1 + index)
  return {
    lost: wanted.filter((body) => !seen.has(body)).length,
    doubled: bodies.length - seen.size,
    outOfOrder: bodies.filter((body, index) => body < (bodies[index - 1] ?? 0)).length,
    gaps,
  }
}

const perfect = { lost: 0, doubled: 0, outOfOrder: 0, gaps: 0 }

describe.each(['websocket', 'longpoll'] as const)('three tabs over %s', (mode) => {
  it(`have one connection, and lose nothing when the leader is closed at ${PER_SECOND} messages a second`, async () => {
    const options = { mode, auth: { user: channelName('user') } }
    const news = channelName('news')
    const tabs: { page: Page; first: number }[] = []
    const totals = { ...perfect }
    let body = 0
    for (let round = 1; round <= ROUNDS; round++) {
      while (tabs.length < 3) tabs.push({ page: await openTab(news, options), first: body })
      expect(made).toHaveLength(round)
      if (mode === 'websocket') expect(sockets.size).toBe(1)
      const end = body + MESSAGES
      const half = body + MESSAGES / 2
      let closing: Promise<void> | undefined
      const start = performance.now()
      for (const from = body; body < end;) {
        // As many as are due, so a loaded machine does not slow the publisher down.
        while (body < end && body - from <= ((performance.now() - start) / 1000) * PER_SECOND)
          void server.publish(news, String(++body))
        // The tab that came first leads. The locks of a browser have an order.
        if (body >= half) closing ??= tabs.shift()!.page.close()
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
      await closing
      for (const { page, first } of tabs) {
        const counters = await countersOf(page, first, body)
        for (const name of Object.keys(totals) as (keyof typeof totals)[]) totals[name] += counters[name]
      }
    }
    expect(totals).toEqual(perfect)
    expect(new Set(made)).toEqual(new Set([mode]))
    expect(made).toHaveLength(ROUNDS + 1)
  })
})

describe('another tab takes over, and nothing is lost, when the leader', () => {
  const takeovers: [string, (leader: Page) => Promise<unknown>][] = [
    ['navigates to another page', (leader) => leader.goto('about:blank')],
    ['is reloaded', (leader) => leader.reload()],
    ['crashes', crash],
    ['disconnects', (leader) => leader.evaluate(() => (globalThis as any).client.disconnect())],
  ]

  it.each(takeovers)('%s', async (_how, takeOver) => {
    const options = { mode: 'websocket', auth: { user: channelName('user') } }
    const news = channelName('news')
    const [leader, follower] = [await openTab(news, options), await openTab(news, options)]
    for (let body = 1; body <= 10; body++) await server.publish(news, String(body))
    expect(await countersOf(follower, 0, 10)).toEqual(perfect)
    expect(made).toHaveLength(1)
    // The page may be closed before it has finished.
    takeOver(leader).catch(() => {})
    let body = 10
    while (made.length < 2) {
      await server.publish(news, String(++body))
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    await server.publish(news, String(++body))
    expect(await countersOf(follower, 0, body)).toEqual(perfect)
  })

  /** Another tab takes over while the leader is away. Then the former leader comes back and has missed nothing. */
  async function leaveAndComeBack(leave: (leader: Page) => Promise<unknown>, comeBack: typeof leave) {
    const options = { mode: 'websocket', auth: { user: channelName('user') } }
    const news = channelName('news')
    const [leader, follower] = [await openTab(news, options), await openTab(news, options)]
    await server.publish(news, '1')
    await countersOf(leader, 0, 1)
    await leave(leader)
    for (let body = 2; body <= 50; body++) await server.publish(news, String(body))
    // A former leader that does not know it yet still has its WebSocket.
    await until('another leader', () => made.length === 2)
    await server.publish(news, '51')
    expect(await countersOf(follower, 0, 51)).toEqual(perfect)
    await comeBack(leader)
    await server.publish(news, '52')
    expect(await countersOf(leader, 0, 52)).toEqual(perfect)
    expect(await countersOf(follower, 0, 52)).toEqual(perfect)
    await until('one connection', () => sockets.size === 1)
    expect(made).toHaveLength(2)
  }

  const dispatch = (page: Page, target: 'window' | 'document', name: string) =>
    page.evaluate(
      ([place, type]) => {
        const event = new PageTransitionEvent(type!, { persisted: true })
        ;(globalThis as any)[place!].dispatchEvent(event)
      },
      [target, name],
    )

  // A headless browser does neither by itself.
  it('is in the back-forward cache', () =>
    leaveAndComeBack(
      (leader) => dispatch(leader, 'window', 'pagehide'),
      (leader) => dispatch(leader, 'window', 'pageshow'),
    ))

  it('is frozen by the browser', () =>
    leaveAndComeBack(
      (leader) => dispatch(leader, 'document', 'freeze'),
      (leader) => dispatch(leader, 'document', 'resume'),
    ))

  it('is stopped without notice', async () => {
    let session: CDPSession | undefined
    // A debugger stops a page without any event, like an operating system that suspends its process.
    await leaveAndComeBack(
      async (leader) => {
        session = await context.newCDPSession(leader)
        await session.send('Debugger.enable')
        await session.send('Debugger.pause')
        // The page stops at its next statement.
        const stopped = new Promise((resolve) => session!.once('Debugger.paused', resolve))
        leader.evaluate(() => {}).catch(() => {})
        await stopped
      },
      () => session!.send('Debugger.resume'),
    )
  })
})

async function crash(page: Page): Promise<void> {
  const session = await context.newCDPSession(page)
  // There is no answer from a page that has crashed.
  session.send('Page.crash').catch(() => {})
}
