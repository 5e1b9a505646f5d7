import { join } from 'node:path'
import { build } from 'esbuild'
import { build as buildPage } from 'vite'

/**
 * Builds the demo for production, for `npm run build -w demo`: the page into `dist/page`, and the server with all its packages
 * into `dist/server.mjs`. So `node dist/server.mjs` needs nothing but Node.
 */

const root = import.meta.dirname

await buildPage({ root, configFile: join(root, 'vite.config.ts'), logLevel: 'warn' })
await build({
  absWorkingDir: root,
  entryPoints: ['server.ts'],
  outfile: 'dist/server.mjs',
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
