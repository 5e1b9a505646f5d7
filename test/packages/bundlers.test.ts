import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build as esbuild, type BuildOptions } from 'esbuild'
import { build, createServer, type InlineConfig } from 'vite'
import { describe, expect, it, vi } from 'vitest'
import { bundleSize } from '../support/bundleSize.ts'
import { launchChromium } from '../support/chromium.ts'
import { inFull, onlyFull } from '../support/extent.ts'
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
      'esbuild for production',
      (outDir) =>
        bundle({
          entryPoints: [join(root, 'print.js')],
          outdir: outDir,
          conditions: ['module', 'production'],
          external,
        }),
    ],
    ['Vite for browsers', (outDir) => buildPrint(outDir)],
    ['Vite for production', (outDir) => inProduction(() => buildPrint(outDir))],
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

  function buildPrint(outDir: string) {
    return build({
      ...vite,
      build: {
        outDir,
        lib: { entry: 'print.js', formats: ['es'], fileName: 'print' },
        rolldownOptions: { external },
      },
    })
  }

  it.each(inFull(bundlers, [bundlers[0]!, bundlers[4]!]))('by %s', async (name, bundleInto) => {
    const outDir = name.replaceAll(' ', '-')
    await bundleInto(join(root, outDir))
    const { code, output } = await run('bundled', [join(outDir, 'print.js')])
    expect(code, output).toBe(0)
    expect(output).toBe('true idle\n')
  })

  it('by the development server of Vite', onlyFull, async () => {
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
    for (const name of ['protocol', 'channels', 'client', 'react']) {
      for (const contents of [
        `import '@broadcaster/${name}'`,
        `import '@broadcaster/${name}/package.json'`,
      ]) {
        const entry = { contents, resolveDir: root }
        expect(await text({ stdin: entry, external, logLevel: 'silent' }), contents).toBe('')
      }
    }
  })

  it.each([
    ['@broadcaster/react', 'BroadcasterProvider', { hasParser: false, hasMap: false }],
    ['@broadcaster/react', 'useChannel', { hasParser: true, hasMap: false }],
    ['@broadcaster/client', 'BroadcasterClient', { hasParser: false, hasMap: false }],
    ['@broadcaster/channels', 'text', { hasParser: false, hasMap: false }],
    ['@broadcaster/channels', 'defineChannels', { hasParser: true, hasMap: true }],
  ])('has only what is used of the channels, from %s: %s', async (name, used, expected) => {
    const contents = `import { ${used} } from '${name}'; console.log(${used})`
    const code = await text({ stdin: { contents, resolveDir: root }, external })
    expect({
      hasParser: code.includes('does not fit its schema'),
      hasMap: code.includes('is not a Standard Schema'),
    }).toEqual(expected)
  })

  const readme = readFileSync(join(import.meta.dirname, '..', '..', 'README.md'), 'utf8')
  const entries = [
    { row: '@broadcaster/client', code: "export { BroadcasterClient } from '@broadcaster/client'" },
    {
      row: '@broadcaster/react and client',
      code: "export { BroadcasterClient, BroadcasterError } from '@broadcaster/client'; export * from '@broadcaster/react'",
    },
  ]

  // So the table in the README is the budget: whoever makes a bundle larger has to say so there.
  it.each(entries)('of the $row is what the README says', async ({ row, code }) => {
    const { gzip } = await bundleSize(code, root)
    const line = readme.split('\n').find((one) => one.startsWith(`| ${row} `))
    expect(line).toContain(` ${(gzip / 1000).toFixed(1)} KB `)
  })
})

describe('the devtools', () => {
  const use = (entry: string) => `
    import { BroadcasterProvider } from '@broadcaster/react'
    import { BroadcasterDevtools, mountDevtools } from '@broadcaster/${entry}'
    export { BroadcasterProvider, BroadcasterDevtools, mountDevtools }`
  const useMount = (entry: string) => `export { mountDevtools } from '@broadcaster/${entry}'`

  function byEsbuild(contents: string, nodeEnv: string) {
    return text({
      stdin: { contents, resolveDir: root },
      external,
      define: { 'process.env.NODE_ENV': JSON.stringify(nodeEnv) },
    })
  }

  async function byVite(contents: string): Promise<string> {
    const entry = join(root, 'devtools.js')
    writeFileSync(entry, contents)
    const built = await inProduction(() =>
      build({
        ...vite,
        define: { 'process.env.NODE_ENV': '"production"' },
        build: { write: false, lib: { entry, formats: ['es'] }, rolldownOptions: { external } },
      }),
    )
    const [{ output }] = built as unknown as [{ output: [{ code: string }] }]
    return output[0].code
  }

  it.each([
    ['esbuild', (contents: string) => byEsbuild(contents, 'production')],
    ['Vite', byVite],
  ])('are not in a bundle for production by %s, unless asked for', async (_name, bundled) => {
    expect(await bundled(use('devtools'))).not.toMatch(/attachShadow|adoptedStyleSheets|Timeline/)
    expect(await bundled(useMount('devtools/mount'))).not.toMatch(/attachShadow|adoptedStyleSheets|Timeline/)
    expect(await bundled(use('devtools/production'))).toContain('attachShadow')
    expect(await bundled(useMount('devtools/mount/production'))).toContain('attachShadow')
  })

  it('are in a bundle for development, and without React if only the function is imported', async () => {
    expect(await byEsbuild(use('devtools'), 'development')).toContain('attachShadow')
    const mount = await byEsbuild(useMount('devtools/mount'), 'development')
    expect(mount).toContain('attachShadow')
    expect(mount).not.toMatch(/from ["']react/)
  })
})

describe('a bundle for production has the production build of the client', () => {
  const errors = join(packed, 'node', 'errors.mjs')

  const bundlers: [string, (outDir: string) => Promise<unknown>][] = [
    [
      'esbuild with the condition',
      (outDir) =>
        bundle({
          entryPoints: [errors],
          outdir: outDir,
          platform: 'node',
          conditions: ['module', 'production'],
        }),
    ],
    ['Vite', (outDir) => inProduction(() => buildErrors(outDir))],
  ]

  it.each(inFull(bundlers, bundlers.slice(0, 1)))('by %s', async (name, bundleInto) => {
    expect(await printedBy(name, bundleInto)).toEqual({
      option: null,
      code: 'options',
      message: 'Invalid URL',
    })
  })

  const others: typeof bundlers = [
    [
      'esbuild without the condition',
      (outDir) => bundle({ entryPoints: [errors], outdir: outDir, platform: 'node' }),
    ],
    ['Vite in another mode', (outDir) => buildErrors(outDir)],
  ]

  it.each(inFull(others, others.slice(0, 1)))('but not by %s', async (name, bundleInto) => {
    const { option, message } = await printedBy(name, bundleInto)
    expect(option).toContain('timeout should be')
    expect(message).toContain('is not a whole URL')
  })

  function buildErrors(outDir: string) {
    return build({
      ...vite,
      build: { outDir, lib: { entry: errors, formats: ['es'], fileName: 'errors' } },
    })
  }

  async function printedBy(name: string, bundleInto: (outDir: string) => Promise<unknown>) {
    const outDir = name.replaceAll(' ', '-')
    await bundleInto(join(root, outDir))
    const { code, output } = await run('bundled', [join(outDir, 'errors.js')])
    expect(code, output).toBe(0)
    return JSON.parse(output)
  }
})

describe('each build', () => {
  // Browsers without a bundler have no `process`. Other libraries end there with "process is not defined".
  it.each(['dist', 'dist/production'])('of the client needs nothing of Node in %s', (path) => {
    const directory = join(packed, 'node_modules/@broadcaster/client', path)
    for (const file of readdirSync(directory).filter((name) => name.endsWith('.js')))
      expect(readFileSync(join(directory, file), 'utf8'), file).not.toMatch(/\bprocess\b|\brequire\(/)
  })

  it('of the client has the page that errors in production name', () => {
    const page = join(packed, 'node_modules/@broadcaster/client/ERRORS.md')
    expect(readFileSync(page, 'utf8')).toContain('| `options` ')
  })

  it.each(['react', 'devtools'].flatMap((name) => [`${name}/dist/index.js`, `${name}/dist/cjs/index.js`]))(
    'of a package with components has the "use client" directive in %s',
    (path) => {
      const code = readFileSync(join(packed, 'node_modules/@broadcaster', path), 'utf8')
      expect(code).toMatch(/^("use strict";\n)?'use client';\n/)
    },
  )
})

/** Vite takes its mode from `NODE_ENV`, if there is one. */
async function inProduction<Result>(run: () => Promise<Result>): Promise<Result> {
  vi.stubEnv('NODE_ENV', 'production')
  try {
    return await run()
  } finally {
    vi.unstubAllEnvs()
  }
}

function bundle(options: BuildOptions) {
  return esbuild({ bundle: true, format: 'esm', ...options })
}

async function text(options: BuildOptions): Promise<string> {
  const { outputFiles } = await bundle({ ...options, write: false })
  return outputFiles![0]!.text
}
