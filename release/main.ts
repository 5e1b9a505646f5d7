import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { problems } from './checks.ts'
import { build, pack, type Packed } from './pack.ts'
import { root, version } from './packages.ts'

/**
 * `npm run release` publishes all packages, from GitHub Actions. `npm run release -- --dry-run` shows what would be published, without
 * the network and without a change of a file that git knows.
 */

const { values } = parseArgs({ options: { 'dry-run': { type: 'boolean', default: false } } })
const isDryRun = values['dry-run']
process.exitCode = main()

function main(): number {
  const found = problems()
  if (!isDryRun && found.length > 0) {
    console.error(['This is not published:', ...found].join('\n  '))
    return 1
  }
  build()
  const directory = mkdtempSync(join(tmpdir(), 'broadcaster-release-'))
  try {
    const all = pack(directory)
    for (const one of all) show(one)
    const bytes = all.reduce((sum, { size }) => sum + size, 0)
    console.log(`${all.length} packages, ${kilobytes(bytes)}`)
    if (!isDryRun) publish(all)
    else if (found.length > 0) console.log(['', 'Before this can be published:', ...found].join('\n  '))
    return 0
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

function show({ name, version, size, unpackedSize, files }: Packed): void {
  const shown = files.toSorted((a, b) => a.path.localeCompare(b.path))
  console.log(
    `${name} ${version}: ${files.length} files, ${kilobytes(size)}, unpacked ${kilobytes(unpackedSize)}`,
  )
  for (const file of shown) console.log(`  ${kilobytes(file.size).padStart(10)}  ${file.path}`)
  console.log()
}

function publish(all: readonly Packed[]): void {
  execFileSync('npm', ['test', '--', 'format', 'lint', 'types', 'packages'], { cwd: root, stdio: 'inherit' })
  // A version such as 1.0.0-beta.1 is not what `npm install` takes.
  const tag = version.includes('-') ? 'next' : 'latest'
  for (const { name, tarball } of all) {
    // A release that has ended in the middle is repeated, and continues there.
    if (isPublished(name)) console.log(`${name} ${version} is already published`)
    else {
      const args = ['publish', tarball, '--provenance', '--access', 'public', '--tag', tag]
      execFileSync('npm', args, { cwd: root, stdio: 'inherit' })
    }
  }
}

function isPublished(name: string): boolean {
  try {
    const args = ['view', `${name}@${version}`, 'version', '--json']
    return execFileSync('npm', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim() !== ''
  } catch (error) {
    // Anything but "there is no such package" ends the release: it would be published twice, or not at all.
    const { stdout, stderr } = error as { stdout: string; stderr: string }
    if (`${stdout}${stderr}`.includes('E404')) return false
    throw error
  }
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} kB`
}
