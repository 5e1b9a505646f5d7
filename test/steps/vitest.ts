import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fullRun } from '../support/extent.ts'
import { command, root, type Counts, type Output } from './command.ts'

interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly testResults: readonly TestFile[]
}

interface TestFile {
  readonly name: string
  readonly status: string
  readonly assertionResults: readonly {
    readonly fullName: string
    readonly status: string
    readonly meta: { readonly needs?: string }
  }[]
}

/** Runs the tests of some of the projects in `vitest.config.ts`. */
export async function vitest(output: Output, projects: readonly string[]): Promise<Counts> {
  const dir = await mkdtemp(join(tmpdir(), 'broadcaster-test-'))
  const report = join(dir, 'report.json')
  const main = join(root, 'node_modules', 'vitest', 'vitest.mjs')
  const args = [main, 'run', '--root', join(root, 'test'), '--reporter=default', '--reporter=json']
  args.push(`--outputFile.json=${report}`, ...projects.flatMap((project) => ['--project', project]))
  const { failed: exitedBadly } = await command(output, process.execPath, args)
  try {
    const { numPassedTests, numFailedTests, testResults } = JSON.parse(
      await readFile(report, 'utf8'),
    ) as Report
    // A file that fails to load has no tests, but it counts as failed.
    const broken = testResults.filter(
      (file) => file.status === 'failed' && file.assertionResults.length === 0,
    )
    const failed = Math.max(numFailedTests + broken.length, exitedBadly)
    return { passed: numPassedTests, failed, skipped: testResults.flatMap(skippedIn) }
  } catch (error) {
    output.write(`vitest left no report: ${String(error)}\n`)
    return { passed: 0, failed: 1 }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

/** A line for each skipped test of a file, with what it needs. Those that only full runs have are too many. */
function skippedIn({ name, assertionResults }: TestFile): string[] {
  return assertionResults
    .filter(({ status, meta }) => !['passed', 'failed'].includes(status) && meta.needs !== fullRun)
    .map(({ fullName, meta }) => {
      const why = meta.needs === undefined ? 'no reason given' : `needs ${meta.needs}`
      return `${relative(root, name)}: ${fullName} (${why})`
    })
}
