import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { build, transform } from 'esbuild'

/**
 * Builds the package in the working directory, for `npm run build`: ES modules into `dist`, and the same as CommonJS into
 * `dist/cjs`, which only tools get that can't `require()` an ES module (Jest). A package with a `development.ts` also gets a
 * production build, which bundlers take that have the condition `production`. All others, and Node, have the sentences of errors. A package
 * with the field `unpkg` also gets that file, for pages without a bundler.
 */

const own = JSON.parse(readFileSync('package.json', 'utf8'))
const { bin } = createRequire(import.meta.url)('typescript/package.json')
const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), bin.tsc)

// What an earlier build has made of a file that is gone would be published.
rmSync('dist', { recursive: true, force: true })
compile('--outDir dist')
if (own.bin === undefined) buildCommonJs()
if (existsSync('dist/development.js')) await buildForProduction()
if (own.unpkg !== undefined) await buildForPages(own.unpkg)

function buildCommonJs() {
  // Under `nodenext` the module format is that of the nearest package.json, which is the source's: so it is said outright. The first
  // run has checked the types.
  compile(
    '--outDir dist/cjs --module commonjs --moduleResolution bundler --verbatimModuleSyntax false --noCheck',
  )
  // Bundlers and Node look at the nearest package.json, which is this one.
  const description = { type: 'commonjs', sideEffects: false }
  mkdirSync('dist/cjs', { recursive: true })
  writeFileSync('dist/cjs/package.json', `${JSON.stringify(description, null, 2)}\n`)
}

function compile(options) {
  const args = ['-p', 'tsconfig.build.json', '--checkers', '1', ...options.split(' ')]
  const { status } = spawnSync(process.execPath, [compiler, ...args], {
    stdio: 'inherit',
  })
  if (status !== 0) process.exit(1)
}

/**
 * One file, in which `isDevelopment` is false. The properties in `internalNames.json` have names of one or two letters there. Bundlers
 * can't shorten them, because they do not know that no other code uses them. A test checks the list, and the file that comes of it.
 */
async function buildForProduction() {
  const internalNames = JSON.parse(readFileSync('internalNames.json', 'utf8'))
  const development = {
    name: 'development',
    setup: ({ onLoad }) =>
      onLoad({ filter: /development\.js$/ }, () => ({ contents: 'export const isDevelopment = false' })),
  }
  const { outputFiles } = await build({
    entryPoints: ['dist/index.js'],
    bundle: true,
    packages: 'external',
    format: 'esm',
    target: 'es2022',
    plugins: [development],
    minifySyntax: true,
    mangleProps: new RegExp(`^(?:${internalNames.join('|')})$`),
    sourcemap: 'inline',
    sourcesContent: false,
    outfile: 'dist/production/index.js',
    write: false,
  })
  // esbuild replaces constants of other files when it prints. So only a second run removes what they disable.
  const { code, map } = await transform(outputFiles[0].text, {
    minifySyntax: true,
    treeShaking: true,
    sourcemap: true,
    sourcesContent: false,
    sourcefile: 'index.js',
  })
  mkdirSync('dist/production', { recursive: true })
  writeFileSync('dist/production/index.js', `${code}//# sourceMappingURL=index.js.map\n`)
  writeFileSync('dist/production/index.js.map', map)
}

/**
 * Everything in one file, for production. React is left out, because the page has it. The file has the exports of the client, too: with
 * those of another file, a page would have two of each class.
 */
async function buildForPages(outfile) {
  const client = own.name === '@broadcaster/client' ? [] : [`export * from '@broadcaster/client'`]
  const entry = existsSync('dist/production/index.js') ? './dist/production/index.js' : './dist/index.js'
  await build({
    stdin: {
      contents: [...client, `export * from '${entry}'`].join('\n'),
      resolveDir: '.',
      sourcefile: 'entry.js',
    },
    bundle: true,
    conditions: ['module', 'production'],
    external: ['react'],
    format: 'esm',
    target: 'es2022',
    minify: true,
    banner: { js: `/*! ${own.name} ${own.version} | MIT */` },
    sourcemap: true,
    outfile,
  })
}
