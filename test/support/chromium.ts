import { existsSync } from 'node:fs'
import { chromium, type Browser } from 'playwright-core'

const places = [
  process.env['CHROMIUM_PATH'],
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
  '/opt/google/chrome/chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
]

/** The path of Chromium on this machine, if it is installed. `CHROMIUM_PATH` has priority. */
export function findChromium(): string | undefined {
  return places.find((path) => path !== undefined && path !== '' && existsSync(path))
}

/** Chromium takes only the last list of features, so this one has to have what is in that of Playwright, too. */
const disabledFeatures = [
  'AimEnabled',
  'AvoidCorsURLLoaderRestartOnRedirect',
  'AvoidUnnecessaryBeforeUnloadCheckSync',
  'DestroyProfileOnBrowserClose',
  'HttpsFirstBalancedModeAutoEnable',
  'HttpsUpgrades',
  'LensOverlay',
  'MediaRouter',
  'NetworkTimeServiceQuerying',
  'OptimizationHints',
  'PaintHolding',
  'PreconnectToSearch',
  'ThirdPartyStoragePartitioning',
  // Every window would load two pages for its address bar, which nobody sees. They took more CPU time than most pages of tests.
  'WebUIOmniboxAimPopup',
  'WebUIOmniboxPopup',
]

/** Starts a headless Chromium: `const browser = tidy(await launchChromium())`. */
export async function launchChromium(): Promise<Browser> {
  const executablePath = findChromium()
  if (executablePath === undefined) {
    throw new Error('No Chromium found: install it (Debian: apt-get install chromium) or set CHROMIUM_PATH')
  }
  return chromium.launch({
    executablePath,
    headless: true,
    // Containers have neither the namespaces that the sandbox needs nor a large /dev/shm.
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--disable-background-networking',
      `--disable-features=${disabledFeatures.join(',')}`,
    ],
  })
}
