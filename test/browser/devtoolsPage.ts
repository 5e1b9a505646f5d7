import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import type { Page } from 'playwright-core'
import { readFileSync } from 'node:fs'

/** The client and the devtools as a script, which sets the global `devtools`. */
export async function bundleDevtools(): Promise<string> {
  const contents = `
    export { BroadcasterClient } from '@broadcaster/client'
    export { mountDevtools } from '@broadcaster/devtools/mount/production'`
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: fileURLToPath(new URL('..', import.meta.url)) },
    bundle: true,
    format: 'iife',
    globalName: 'devtools',
    conditions: ['@broadcaster/source'],
    write: false,
  })
  return outputFiles[0]!.text
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** What axe finds on the page, in the shadow roots too: `rule: element`. */
export async function axeFindings(page: Page): Promise<string[]> {
  // Not a script element, which the Content Security Policy of the page would block.
  await page.evaluate(axe)
  return page.evaluate(async () => {
    const { violations } = await (globalThis as any).axe.run()
    return violations.flatMap(({ id, nodes }: { id: string; nodes: { target: unknown; html: string }[] }) =>
      nodes.map(({ html }) => `${id}: ${html}`),
    ) as string[]
  })
}
