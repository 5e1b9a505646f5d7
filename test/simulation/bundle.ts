import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build, type Plugin } from 'esbuild'
import type { Mutation } from './mutations/mutation.ts'

export type Simulation = typeof import('./simulate.ts')

const root = join(import.meta.dirname, '..', '..')
/** In this workspace's `node_modules`, so that the bundle finds the packages that it does not contain. */
const outDir = join(import.meta.dirname, '..', 'node_modules', '.simulation')

/** Bundles the simulation and the code that it runs, with one mutation if there is one, and imports the bundle. */
export async function bundle(mutation?: Mutation): Promise<Simulation> {
  await mkdir(outDir, { recursive: true })
  const dir = await mkdtemp(join(outDir, 'bundle-'))
  try {
    const outfile = join(dir, 'simulate.mjs')
    const applied = { times: 0 }
    await build({
      entryPoints: [join(import.meta.dirname, 'simulate.ts')],
      outfile,
      bundle: true,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      conditions: ['@broadcaster/source'],
      logLevel: 'error',
      plugins: [externalPackages, ...(mutation === undefined ? [] : [mutate(mutation, applied)])],
    })
    if (mutation !== undefined && applied.times === 0)
      throw new Error(`${mutation.file} is not part of the simulation`)
    return (await import(pathToFileURL(outfile).href)) as Simulation
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

/** The bundle imports all packages except our own. */
const externalPackages: Plugin = {
  name: 'external packages',
  setup({ onResolve }) {
    onResolve({ filter: /^[^./]/ }, ({ path, kind }) =>
      kind === 'entry-point' || path.startsWith('@broadcaster/') ? null : { path, external: true },
    )
  },
}

function mutate({ name, file, find, replace }: Mutation, applied: { times: number }): Plugin {
  return {
    name: 'mutate',
    setup({ onLoad }) {
      onLoad({ filter: /\.ts$/ }, async ({ path }) => {
        if (path !== join(root, file)) return null
        const parts = (await readFile(path, 'utf8')).split(find)
        // Otherwise a mutation that no longer matches the source would change nothing.
        if (parts.length !== 2)
          throw new Error(`Mutation '${name}': found ${parts.length - 1} times in ${file}: ${find}`)
        applied.times += 1
        return { contents: parts.join(replace), loader: 'ts' }
      })
    },
  }
}
