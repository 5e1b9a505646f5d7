import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { default as read } from '@changesets/read'
import { withRelease } from './changelog.ts'
import { packages, project, readManifest, root, version as before } from './packages.ts'

/**
 * `npm run bump` makes the next version of the changesets that wait: in every package, in what names it, and in the changelog. What it has
 * changed is to be read, committed and tagged.
 */

/** Documents that name the version: the address of a file on a CDN, the size of a bundle. */
const naming = ['README.md', ...packages.map((folder) => `${folder}/README.md`)]
const examples = ['jest', 'next', 'server', 'vite', 'vitest'].map((name) => `examples/${name}/package.json`)

const changesets = await read(root)
if (changesets.length === 0) throw new Error('No changeset waits. `npx changeset` makes one.')
execFileSync(process.execPath, [join(root, 'node_modules/@changesets/cli/bin.js'), 'version'], {
  cwd: root,
  stdio: 'inherit',
})
const { version } = readManifest(packages[0]!)
// Private workspaces without a version stay without one.
const versions = project.workspaces.flatMap((folder) => readManifest(folder).version ?? [])
if (versions.some((one) => one !== version))
  throw new Error(`Not all packages are ${version}: ${versions.join()}`)

edit('CHANGELOG.md', (text) =>
  withRelease(
    text,
    version,
    changesets.flatMap(({ summary }) => (summary.trim() === '' ? [] : [summary])),
  ),
)
for (const file of naming) edit(file, (text) => text.replaceAll(ours(before), `$1${version}`))
for (const file of examples) edit(file, (text) => text.replaceAll(`"^${before}"`, `"^${version}"`))
execFileSync('npm', ['install', '--package-lock-only', '--ignore-scripts', '--no-audit', '--offline'], {
  cwd: root,
  stdio: 'inherit',
})
console.log(`${before} -> ${version}. Read the changes, commit them, and tag the commit: git tag v${version}`)

/** The version behind the name of a package: in an address, or in the next column of a table. */
function ours(version: string): RegExp {
  return new RegExp(`(@broadcaster/[\\w ]+?(?:@| *\\| ))${version.replaceAll('.', '\\.')}`, 'g')
}

function edit(file: string, change: (text: string) => string): void {
  const path = join(root, file)
  const text = readFileSync(path, 'utf8')
  const changed = change(text)
  if (changed !== text) writeFileSync(path, changed)
}
