import { fileURLToPath } from 'node:url'
import { build } from 'vite'

let script: Promise<string> | undefined

/**
 * The client as a classic script, which every page, frame and worker can load. It sets the global `broadcasterClient`. It is
 * built once for all tests of a process.
 */
export function bundleClient(): Promise<string> {
  return (script ??= bundle())
}

async function bundle(): Promise<string> {
  const built = await build({
    configFile: false,
    logLevel: 'error',
    resolve: { conditions: ['@broadcaster/source'] },
    build: {
      write: false,
      lib: {
        entry: fileURLToPath(import.meta.resolve('../../client/src/index.ts')),
        formats: ['iife'],
        name: 'broadcasterClient',
      },
    },
  })
  // With one format there is one output.
  const [{ output }] = built as unknown as [{ output: [{ code: string }] }]
  return output[0].code
}
