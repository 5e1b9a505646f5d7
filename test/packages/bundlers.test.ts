import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build as esbuild, type BuildOptions } from 'esbuild'
import { build, createServer, type InlineConfig } from 'vite'
import { describe, expect, it } from 'vitest'
import { launchChromium } from '../support/chromium.ts'
import { tidy } from '../support/tidy.ts'
import { packed, run } from './packed.ts'

const root = join(packed, 'bundled')
const vite: InlineConfig = { root, configFile: false, logLevel: 'error', cacheDir: join(root, '.vite') }
const external = ['react', 'react/jsx-runtime', 'react-dom/server']

describe('a bundle contains each class and context once, if one library imports the packages and another one requires them', () => {
  const bundlers: [string, (outDir: string) => Promise<unknown>][] = [
    ...(['browser', 'node'] as const).map((platform): (typeof bundlers)[0] => [
      `esbuild for platform ${platform}`,
      (outDir) => bundle({ entryPoints: [join(root, 'print.js')], outdir: outDir, platform, external }),
    ]),
    [
      'esbuild with the conditions of Bun',
      (outDir) =>
        bundle({
          entryPoints: [join(root, 'print.js')],
          outdir: outDir,
          platform: 'neutral',
          mainFields: ['main'],
          conditions: ['bun', 'node'],
          external,
        }),
    ],
    [
      'Vite for browsers',
      (outDir) =>
        build({
          ...vite,
          build: {
            outDir,
            lib: { entry: 'print.js', formats: ['es'], fileName: 'print' },
            rolldownOptions: { external },
          },
        }),
    ],
    [
      'Vite for servers',
      (outDir) =>
        build({
          ...vite,
          ssr: { noExternal: ['legacy-library', /^@broadcaster\//] },
          build: { outDir, ssr: 'print.js', rolldownOptions: { external } },
        }),
    ],
  ]

  it.each(bundlers)('by %s', async (name, bundleInto) => {
    const outDir = name.replaceAll(' ', '-')
    await bundleInto(join(root, outDir))
    const { code, output } = await run('bundled', [join(outDir, 'print.js')])
    expect(code, output).toBe(0)
    expect(output).toBe('true idle\n')
  })

  it('by the development server of Vite', async () => {
    const server = tidy(await createServer({ ...vite, server: { port: 0, host: '127.0.0.1' } }))
    await server.listen()
    const browser = tidy(await launchChromium())
    const page = await browser.newPage()
    await page.goto(server.resolvedUrls!.local[0]!)
    await page.getByText('idle', { exact: true }).waitFor()
    expect(await page.title()).toBe('true')
  })
})

describe('the size of the packages in a bundle', () => {
  it('is 0 if nothing is used', async () => {
    for (const name of ['protocol', 'client', 'react']) {
      for (const contents of [
        `import '@broadcaster/${name}'`,
        `import '@broadcaster/${name}/package.json'`,
      ]) {
        const entry = { contents, resolveDir: root }
        expect(await text({ stdin: entry, external, logLevel: 'silent' }), contents).toBe('')
      }
    }
  })

  it('is at most as the README states', async () => {
    const readme = readFileSync(join(import.meta.dirname, '..', '..', 'README.md'), 'utf8')
    const size = async (name: string, others: string[]) => {
      const contents = `export * from '@broadcaster/${name}'`
      const code = await text({ stdin: { contents, resolveDir: root }, minify: true, external: others })
      return `about ${Math.floor(gzipSync(code).length / 1000)} KB gzip`
    }
    const line = (name: string) =>
      readme.split('\n').find((row) => row.startsWith(`| [\`@broadcaster/${name}\``))
    expect(line('client')).toContain(await size('client', []))
    expect(line('react')).toContain(await size('react', [...external, '@broadcaster/client']))
  })
})

describe('each build', () => {
  it.each(['dist/index.js', 'dist/cjs/index.js'])(
    'of the React package has the "use client" directive in %s',
    (path) => {
      const code = readFileSync(join(packed, 'node_modules/@broadcaster/react', path), 'utf8')
      expect(code).toMatch(/^("use strict";\n)?'use client';\n/)
    },
  )
})

function bundle(options: BuildOptions) {
  return esbuild({ bundle: true, format: 'esm', ...options })
}

async function text(options: BuildOptions): Promise<string> {
  const { outputFiles } = await bundle({ ...options, write: false })
  return outputFiles![0]!.text
}
