import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

const testDir = join(import.meta.dirname, '..')
const script = join(testDir, '..', 'demo', 'build.mjs')
const directory = join(testDir, 'node_modules', '.demo')

/** The demo as `npm run build -w demo` builds it. */
export type BuiltDemo = {
  /** The program of a node. */
  readonly program: string
  /** The directory of the page. */
  readonly page: string
}

let built: Promise<BuiltDemo> | undefined

/** Builds the demo, once for all tests of a process. */
export function buildDemo(): Promise<BuiltDemo> {
  return (built ??= build())
}

async function build(): Promise<BuiltDemo> {
  // Vite would build for the environment of the tests.
  const env = { ...process.env, NODE_ENV: 'production' }
  await promisify(execFile)(process.execPath, [script, directory], { env })
  return { program: join(directory, 'server.mjs'), page: join(directory, 'page') }
}
