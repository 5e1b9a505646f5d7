import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build, defaultServerConditions, type Plugin } from 'vite'
import type { Mutation } from './mutations.ts'

export type Simulation = typeof import('./simulate.ts')

const root = join(import.meta.dirname, '..', '..')
/** In this workspace's `node_modules`, so that the bundle finds the packages that it does not contain. */
const outDir = join(import.meta.dirname, '..', 'node_modules', '.simulation')

/** Bundles the simulation and the code that it runs, with one mutation if there is one, and imports the bundle. */
export async function bundle(mutation?: Mutation): Promise<Simulation> {
  await mkdir(outDir, { recursive: true })
  const dir = await mkdtemp(join(outDir, 'bundle-'))
  try {
    const applied = { times: 0 }
    await build({
      configFile: false,
      root,
      logLevel: 'error',
      plugins: mutation === undefined ? [] : [mutate(mutation, applied)],
      resolve: { conditions: ['@broadcaster/source', ...defaultServerConditions] },
      ssr: {
        noExternal: [/^@broadcaster\//],
        resolve: { conditions: ['@broadcaster/source', ...defaultServerConditions] },
      },
      build: {
        ssr: join(import.meta.dirname, 'simulate.ts'),
        target: 'node20',
        outDir: dir,
        minify: false,
        rolldownOptions: { output: { entryFileNames: 'simulate.mjs' } },
      },
    })
    if (mutation !== undefined && applied.times === 0)
      throw new Error(`${mutation.file} is not part of the simulation`)
    return (await import(pathToFileURL(join(dir, 'simulate.mjs')).href)) as Simulation
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

function mutate({ name, file, find, replace }: Mutation, applied: { times: number }): Plugin {
  return {
    name: 'mutate',
    enforce: 'pre',
    transform(code, id) {
      if (id !== join(root, file)) return null
      const parts = code.split(find)
      // Otherwise a mutation that no longer matches the source would change nothing.
      if (parts.length !== 2)
        throw new Error(`Mutation '${name}': found ${parts.length - 1} times in ${file}: ${find}`)
      applied.times += 1
      return parts.join(replace)
    },
  }
}
