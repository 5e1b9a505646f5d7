import { spawnSync } from 'node:child_process'
import { findChromium } from '../support/chromium.ts'
import { unpackServers } from '../redises/debian.ts'
import { inFull } from '../support/extent.ts'
import { findHaproxy } from '../support/haproxy.ts'
import { findNginx } from '../support/nginx.ts'

/** Checks that Redis, a browser and nginx are installed. As root on Debian or Ubuntu, installs what is missing. */
export function getWhatTestsNeed(): boolean {
  if (!installWhatIsMissing()) return false
  // For full runs also servers of other versions and makes, whose tests are skipped otherwise.
  inFull(unpackServers, () => {})()
  return true
}

function installWhatIsMissing(): boolean {
  const missing = () => [
    ...(spawnSync('redis-server', ['--version']).error ? ['redis-server'] : []),
    ...(findChromium() === undefined ? ['chromium'] : []),
    ...(findNginx() === undefined ? ['nginx'] : []),
    ...inFull(findHaproxy() === undefined ? ['haproxy'] : [], []),
  ]
  const wanted = missing()
  if (wanted.length === 0) return true

  if (process.getuid?.() === 0 && !spawnSync('apt-get', ['--version']).error) {
    console.log(`Installing ${wanted.join(' and ')}`)
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    spawnSync('apt-get', ['update', '-q'], { env, stdio: 'inherit' })
    spawnSync('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...wanted], {
      env,
      stdio: 'inherit',
    })
  }
  const still = missing()
  if (still.length === 0) return true
  console.error(`The tests need ${still.join(' and ')}. Debian, Ubuntu: sudo apt-get install ${still.join(' ')}
macOS: brew install redis nginx, and Chrome or Chromium. CHROMIUM_PATH can be the path of the browser.`)
  return false
}
