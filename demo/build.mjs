import { join, resolve } from 'node:path'
import { build } from 'esbuild'
import { build as buildPage } from 'vite'

/**
 * Builds the demo for production, for `npm run build -w demo`: the page into `dist/page`, and the server with all its packages
 * into `dist/server.mjs`. So `node dist/server.mjs` needs nothing but Node. `dist/cluster.mjs` is for `npm run demo:cluster`.
 * Another directory than `dist` can be given.
 */

const root = import.meta.dirname
const outdir = resolve(root, process.argv[2] ?? 'dist')

await buildPage({
  root,
  configFile: join(root, 'vite.config.ts'),
  logLevel: 'warn',
  build: { outDir: join(outdir, 'page'), emptyOutDir: true },
})
await build({
  absWorkingDir: root,
  entryPoints: ['server.ts', 'cluster.ts'],
  outdir,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  conditions: ['@broadcaster/source'],
  // Only development needs it.
  external: ['vite'],
  // Some packages are CommonJS.
  banner: {
    js: "import { createRequire } from 'node:module'\nconst require = createRequire(import.meta.url)",
  },
})
