import { buildSync } from 'esbuild'
import { readFileSync, renameSync } from 'node:fs'
import { join, relative } from 'node:path'

const testDir = join(import.meta.dirname, '..')
/** It is below the `node_modules` of this workspace, so that the programs find their packages. */
const outDir = join(testDir, 'node_modules', '.programs')
const packages = ['test', 'server', 'client'].flatMap((workspace) => {
  const text = readFileSync(join(testDir, '..', workspace, 'package.json'), 'utf8')
  const { dependencies = {}, devDependencies = {} } = JSON.parse(text) as Record<string, object>
  return Object.keys({ ...dependencies, ...devDependencies }).filter(
    (name) => !name.startsWith('@broadcaster/'),
  )
})
const programs = new Map<string, string>()

/**
 * Bundles a TypeScript file with the sources of the workspaces, and returns the path of the bundle. A process starts from it
 * several times as fast as from the sources, of which it would have to compile each.
 */
export function program(main: string): string {
  const known = programs.get(main)
  if (known !== undefined) return known
  const name = relative(testDir, main).replaceAll(/[/\\]/g, '-')
  const bundle = join(outDir, `${name}.mjs`)
  const own = join(outDir, `${name}.${process.pid}.mjs`)
  buildSync({
    entryPoints: [main],
    outfile: own,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    conditions: ['@broadcaster/source'],
    external: packages,
    sourcemap: 'inline',
    logLevel: 'error',
  })
  // Several workers may do this at the same time, while processes of others start from the same bundle.
  renameSync(own, bundle)
  programs.set(main, bundle)
  return bundle
}
