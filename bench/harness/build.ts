import { spawnSync } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

/**
 * Builds each `dist` that is missing or older than its source. The bench measures `dist`, which users get from the registry,
 * and not TypeScript through a loader.
 */
export function buildServer(): void {
  for (const workspace of ['protocol', 'channels', 'server']) {
    const built = statSync(join(root, workspace, 'dist/index.js'), { throwIfNoEntry: false })?.mtimeMs ?? 0
    if (newestIn(join(root, workspace, 'src')) < built) continue
    const { status } = spawnSync('npm', ['run', 'build', '-w', workspace, '--silent'], {
      cwd: root,
      stdio: 'inherit',
    })
    if (status !== 0) throw new Error(`Could not build ${workspace}/, which the bench measures.`)
  }
}

function newestIn(directory: string): number {
  return Math.max(
    ...readdirSync(directory, { recursive: true, encoding: 'utf8' }).map(
      (name) => statSync(join(directory, name)).mtimeMs,
    ),
  )
}
