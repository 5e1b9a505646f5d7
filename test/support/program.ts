import { buildSync } from 'esbuild'
import { renameSync } from 'node:fs'
import { join, relative } from 'node:path'

const testDir = join(import.meta.dirname, '..')
const outDir = join(testDir, 'node_modules', '.programs')
const programs = new Map<string, string>()

/**
 * Bundles a TypeScript file with the sources of the workspaces and with all packages, and returns the path of the bundle. A process
 * starts from it several times as fast as from the sources, of which it would have to compile each.
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
    // The demo uses it in development only.
    external: ['vite'],
    // A file less to load is time saved at each start. So are source maps: the bundle is readable.
    banner: {
      js: "import { createRequire } from 'node:module'\nconst require = createRequire(import.meta.url)",
    },
    logLevel: 'error',
  })
  // Several workers may do this at the same time, while processes of others start from the same bundle.
  renameSync(own, bundle)
  programs.set(main, bundle)
  return bundle
}
