import { spawn, spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { findChromium } from './support/chromium.ts'
import { findNginx } from './support/nginx.ts'
import { pack } from './support/pack.ts'

/**
 * `npm test`: format, lint, types, the packages as they are published, then all tests. Steps by name run only those:
 * `npm test -- lint tests`. The end names every skipped test and what it needs; the last line counts steps and tests:
 * `N passed, N failed`.
 */

type Counts = { readonly passed: number; readonly failed: number; readonly skipped?: readonly string[] }
type Step = { readonly name: string; readonly run: () => Promise<Counts> }

const root = join(import.meta.dirname, '..')

const steps: Step[] = [
  { name: 'format', run: () => command('npx', ['prettier', '--check', '.', '--log-level', 'warn']) },
  { name: 'lint', run: () => command('npm', ['run', 'lint', '--silent']) },
  { name: 'types', run: () => command('npm', ['run', 'types', '--silent']) },
  { name: 'packages', run: checkPackages },
  { name: 'tests', run: runTests },
]

process.exitCode = await main(process.argv.slice(2))

async function main(names: string[]): Promise<number> {
  const unknown = names.filter((name) => !steps.some((step) => step.name === name))
  if (unknown.length > 0) {
    console.error(
      `No such step: ${unknown.join(', ')}. There are ${steps.map(({ name }) => name).join(', ')}.`,
    )
    return 1
  }
  const chosen = names.length === 0 ? steps : steps.filter(({ name }) => names.includes(name))
  if (chosen.some(({ name }) => name === 'tests') && !getWhatTestsNeed()) return 1

  let passed = 0
  let failed = 0
  const skipped: string[] = []
  for (const { name, run } of chosen) {
    console.log(`\n== ${name}`)
    const start = performance.now()
    const counts = await run()
    passed += counts.passed
    failed += counts.failed
    skipped.push(...(counts.skipped ?? []))
    const seconds = ((performance.now() - start) / 1000).toFixed(1)
    console.log(`== ${name}: ${counts.failed === 0 ? 'ok' : 'FAILED'} (${seconds} s)`)
  }
  if (skipped.length > 0) console.log(['\nSkipped:', ...skipped].join('\n  '))
  console.log(`\n${passed} passed, ${failed} failed`)
  return failed === 0 ? 0 : 1
}

/** Builds and packs every package and looks at the result as a user's tools will. */
async function checkPackages(): Promise<Counts> {
  const dir = await mkdtemp(join(tmpdir(), 'broadcaster-pack-'))
  try {
    let [passed, failed] = [0, 0]
    for (const tarball of Object.values(pack(dir))) {
      for (const check of [
        ['publint', tarball, '--strict'],
        ['attw', tarball],
      ]) {
        const counts = await command('npx', check)
        passed += counts.passed
        failed += counts.failed
      }
    }
    return { passed, failed }
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    return { passed: 0, failed: 1 }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

async function runTests(): Promise<Counts> {
  const dir = await mkdtemp(join(tmpdir(), 'broadcaster-test-'))
  const report = join(dir, 'report.json')
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs')
  const args = [vitest, 'run', '--root', import.meta.dirname, '--reporter=default', '--reporter=json']
  const { failed: exitedBadly } = await command(process.execPath, [...args, `--outputFile.json=${report}`])
  try {
    const { numPassedTests, numFailedTests, testResults } = JSON.parse(
      await readFile(report, 'utf8'),
    ) as Report
    // A file that does not even load has no tests, but it has failed.
    const broken = testResults.filter(
      (file) => file.status === 'failed' && file.assertionResults.length === 0,
    )
    const failed = numFailedTests + broken.length
    return {
      passed: numPassedTests,
      failed: Math.max(failed, exitedBadly),
      skipped: testResults.flatMap(skippedIn),
    }
  } catch (error) {
    console.error(`vitest left no report: ${String(error)}`)
    return { passed: 0, failed: 1 }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

type Report = {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly testResults: readonly TestFile[]
}

type TestFile = {
  readonly name: string
  readonly status: string
  readonly assertionResults: readonly {
    readonly fullName: string
    readonly status: string
    readonly meta: { readonly needs?: string }
  }[]
}

/** A line for each skipped test of a file: which one, and what it needs. */
function skippedIn({ name, assertionResults }: TestFile): string[] {
  return assertionResults
    .filter(({ status }) => status !== 'passed' && status !== 'failed')
    .map(({ fullName, meta }) => {
      const why = meta.needs === undefined ? 'no reason given' : `needs ${meta.needs}`
      return `${relative(root, name)}: ${fullName} (${why})`
    })
}

/** Runs a command with its output on show; it counts as one passed or one failed. */
function command(file: string, args: string[]): Promise<Counts> {
  return new Promise((resolve) => {
    // Vitest's workers are to see Node as it is, not with the options that run this file.
    const { NODE_OPTIONS: _, ...env } = process.env
    const child = spawn(file, args, { cwd: root, env, stdio: 'inherit' })
    child.on('error', (error) => {
      console.error(error.message)
      resolve({ passed: 0, failed: 1 })
    })
    child.on('exit', (code) => {
      if (code !== 0) console.error(`${file} ${args.join(' ')} ended with ${code}`)
      resolve(code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 })
    })
  })
}

/** A real Redis, a real browser and a real proxy. On a bare Debian or Ubuntu, where this is root, it installs them. */
function getWhatTestsNeed(): boolean {
  const missing = () => [
    ...(spawnSync('redis-server', ['--version']).error ? ['redis-server'] : []),
    ...(findChromium() === undefined ? ['chromium'] : []),
    ...(findNginx() === undefined ? ['nginx'] : []),
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
macOS: brew install redis nginx, and Chrome or Chromium. CHROMIUM_PATH may say where the browser is.`)
  return false
}
