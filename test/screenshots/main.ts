import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startCluster } from '../../demo/cluster/startCluster.ts'
import { openDemo, type DemoPage } from '../browser/demoPage.ts'
import { buildDemo } from '../support/builtDemo.ts'
import { launchChromium } from '../support/chromium.ts'
import { sleep } from '../support/waiting.ts'

const help = `npm run screenshots -- [options]

Makes demo/screenshot.png from the page of npm run demo:cluster.

  --directory DIR   makes pictures there instead: wide and on a phone, light and dark, and in the middle of a broken connection
  --seconds 50      how long the chart is filled before
`

const { values } = parseArgs({
  options: {
    directory: { type: 'string' },
    seconds: { type: 'string', default: '50' },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  console.log(help)
  process.exit()
}

const wide = { viewport: { width: 1360, height: 1000 }, deviceScaleFactor: 1.5 }
const phone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true }

type Shot = { name: string; options: object; isBroken?: boolean; isWhole?: boolean }

const readme: Shot = {
  name: 'screenshot',
  options: { ...wide, viewport: { width: 1360, height: 1150 } },
}
const all: readonly Shot[] = [
  { name: 'wide', options: wide, isWhole: true },
  { name: 'wide-broken', options: wide, isBroken: true },
  { name: 'dark', options: { ...wide, colorScheme: 'dark' }, isWhole: true },
  { name: 'dark-broken', options: { ...wide, colorScheme: 'dark' }, isBroken: true },
  { name: 'phone', options: phone },
  { name: 'phone-whole', options: phone, isWhole: true },
  { name: 'phone-dark-broken', options: { ...phone, colorScheme: 'dark' }, isBroken: true },
]
const shots = values.directory === undefined ? [readme] : all
const directory = values.directory ?? join(import.meta.dirname, '../../demo')

await mkdir(directory, { recursive: true })
const built = await buildDemo()
const cluster = await startCluster({ program: built.program })
const browser = await launchChromium()
try {
  for (const shot of shots) await take(shot)
} finally {
  await browser.close()
  await cluster.close()
}

async function take({ name, options, isBroken = false, isWhole = false }: Shot): Promise<void> {
  const demo = await openDemo(await browser.newContext(options), cluster.url)
  await demo.signIn('alice')
  await demo.page.getByLabel('Note', { exact: true }).fill('Tin is cheap today')
  await demo.press('Send')
  await sleep(Number(values.seconds) * 1_000)
  await breakAndRecover(demo)
  if (isBroken) {
    await demo.breaks('Go offline')
    await demo.showsConnection('Reconnecting')
    await sleep(3_000)
  }
  await demo.page.evaluate(() => scrollTo(0, 0))
  await demo.page.screenshot({ path: join(directory, `${name}.png`), fullPage: isWhole })
  console.log(join(directory, `${name}.png`))
  await demo.page.context().close()
}

async function breakAndRecover(demo: DemoPage): Promise<void> {
  await demo.breaks('Cut the socket')
  await demo.recoversFrom('Cut the socket')
  await sleep(2_000)
  await demo.press('Kill Node 1')
  await sleep(1_000)
  await demo.press('Start Node 1')
  await demo.page.getByRole('button', { name: 'Restart Node 1' }).waitFor()
  await sleep(4_000)
  // The keyboard focus is not part of the picture.
  await demo.page.mouse.click(2, 2)
}
