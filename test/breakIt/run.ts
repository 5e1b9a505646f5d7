import { startCluster, type Cluster } from '../../demo/cluster/startCluster.ts'
import type { ClusterState } from '../../demo/cluster/control.ts'
import { openDemo, type Counters, type DemoPage } from '../browser/demoPage.ts'
import { launchChromium } from '../support/chromium.ts'
import { until } from '../support/waiting.ts'

export const transports = ['WebSocket', 'Long-poll'] as const
export type Transport = (typeof transports)[number]

export type BreakItOptions = {
  /** `server.mjs` of the built demo. */
  readonly program: string
  /** How often a node is killed, in turn. */
  readonly kills: number
  /** Whether the windows are also cut off and offline after each kill. */
  readonly cutsWindows: boolean
  /** How often Redis is killed and started. Each causes a gap in each channel. */
  readonly redisRestarts: number
  /** The run ends after this time, but not before the last fault. The faults are spread over it. */
  readonly minutes: number
  /** Messages a second. */
  readonly rate: number
  readonly log?: (line: string) => void
}

export type BreakItReport = {
  readonly transport: Transport
  /** What the page shows before Redis is restarted, and at the end. */
  readonly beforeRedis: Counters
  readonly counters: Counters
  /** How long each recovery took, in ms. */
  readonly recoveries: readonly number[]
}

/** Messages that have to come after a fault. */
const SOME = 50

/** Opens the demo in a window for each transport, and breaks it with the buttons of the page. */
export async function runBreakIt(options: BreakItOptions): Promise<BreakItReport[]> {
  const { program, kills, cutsWindows, redisRestarts, minutes, rate, log = () => {} } = options
  const [cluster, browser] = await Promise.all([startCluster({ program }), launchChromium()])
  try {
    await post(cluster, '/api/rate', { perSecond: rate })
    const windows = await Promise.all(
      transports.map(async (transport) => {
        const page = await openDemo(await browser.newContext(), cluster.url)
        await page.choose(transport)
        await page.showsConnection(`Connected over ${transport}`)
        // With a token that ends every half minute.
        await page.signIn(transport)
        return { transport, page, recoveries: new Map<string, number>() }
      }),
    )
    const pages = windows.map(({ page }) => page)
    // A page that a fault does not concern has nothing to recover from.
    const noteRecoveries = async (fault: string) => {
      for (const { page, transport, recoveries } of windows) {
        await until(`${transport} to recover from: ${fault}`, () => page.hasRecovered())
        for (const [when, ms] of await page.recoveries()) {
          if (recoveries.has(when)) continue
          recoveries.set(when, ms)
          log(`${fault}: ${transport} after ${ms} ms`)
        }
      }
    }

    const startedAt = Date.now()
    for (let kill = 0; kill < kills; kill++) {
      await untilDue(startedAt + (minutes * 60_000 * kill) / kills)
      await untilCopied(cluster)
      const name = `Node ${(kill % 2) + 1}`
      await pages[kill % pages.length]!.press(`Kill ${name}`)
      await everyPage(pages, (page) => page.receives(SOME))
      await noteRecoveries(`${name} killed`)
      await pages[kill % pages.length]!.press(`Start ${name}`)
      for (const fault of cutsWindows ? ['Cut the socket', 'Go offline'] : []) {
        for (const page of pages) await page.breaks(fault)
        if (fault === 'Go offline') {
          await everyPage(pages, (page) => page.showsConnection('Reconnecting'))
          for (const page of pages) await page.breaks('Go online')
        }
        await everyPage(pages, (page) => page.receives(SOME))
        await noteRecoveries(fault)
      }
    }
    await untilDue(startedAt + minutes * 60_000)
    const beforeRedis = await Promise.all(pages.map((page) => page.counters()))

    for (let restart = 0; restart < redisRestarts; restart++) {
      await pages[0]!.press('Stop Redis')
      await pages[0]!.press('Start Redis')
      await everyPage(pages, async (page) => {
        await page.receives(SOME)
        await page.showsEvent('Redis was away')
      })
      log(`Redis restarted`)
    }
    const reports = windows.map(async ({ transport, page, recoveries }, i) => ({
      transport,
      beforeRedis: beforeRedis[i]!,
      counters: await page.counters(),
      recoveries: [...recoveries.values()],
    }))
    return await Promise.all(reports)
  } finally {
    await browser.close()
    await cluster.close()
  }
}

function everyPage(pages: readonly DemoPage[], act: (page: DemoPage) => Promise<void>): Promise<unknown> {
  return Promise.all(pages.map(act))
}

/** Until both nodes run, and each has a copy of the channels of the other. */
async function untilCopied({ url }: Cluster): Promise<void> {
  await until('the copies', async () => {
    const { nodes } = (await (await fetch(`${url}/api/cluster`)).json()) as ClusterState
    return nodes.every(({ uncopied }) => uncopied === 0)
  })
}

async function untilDue(time: number): Promise<void> {
  const ms = time - Date.now()
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms))
}

async function post({ url }: Cluster, path: string, body: object): Promise<void> {
  await fetch(url + path, { method: 'POST', body: JSON.stringify(body) })
}
