import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/**
 * Builds the package in the working directory, for `npm run build`: ES modules into `dist`, and the same as CommonJS into
 * `dist/cjs`, which only tools get that can't `require()` an ES module (Jest).
 */

const { bin } = createRequire(import.meta.url)('typescript/package.json')
const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), bin.tsc)

compile('--outDir dist')
// Under `nodenext` the module format is that of the nearest package.json, which is the source's: so it is said outright.
compile('--outDir dist/cjs --module commonjs --moduleResolution bundler --verbatimModuleSyntax false')
// Bundlers and Node look at the nearest package.json, which is this one.
const description = { type: 'commonjs', sideEffects: false }
mkdirSync('dist/cjs', { recursive: true })
writeFileSync('dist/cjs/package.json', `${JSON.stringify(description, null, 2)}\n`)

function compile(options) {
  const args = ['-p', 'tsconfig.build.json', ...options.split(' ')]
  const { status } = spawnSync(process.execPath, [compiler, ...args], {
    stdio: 'inherit',
  })
  if (status !== 0) process.exit(1)
}
