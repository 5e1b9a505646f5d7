import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const script = join(import.meta.dirname, '..', '..', 'demo', 'build.mjs')

/** The demo as `npm run build -w demo` builds it. */
export type BuiltDemo = {
  /** The program of a node. */
  readonly program: string
  /** The directory of the page. */
  readonly page: string
  close(): Promise<void>
}

export async function buildDemo(): Promise<BuiltDemo> {
  const directory = await mkdtemp(join(tmpdir(), 'broadcaster-demo-'))
  // Vite would build for the environment of the tests.
  const env = { ...process.env, NODE_ENV: 'production' }
  await promisify(execFile)(process.execPath, [script, directory], { env })
  return {
    program: join(directory, 'server.mjs'),
    page: join(directory, 'page'),
    close: () => rm(directory, { recursive: true, force: true }),
  }
}
