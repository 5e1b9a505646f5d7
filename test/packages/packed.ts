import { spawn } from 'node:child_process'
import { join, resolve } from 'node:path'
import { tidy } from '../support/tidy.ts'
import { within } from '../support/waiting.ts'

/** The directory of the packed packages and their applications. It is not in `node_modules`, where Jest transforms nothing. */
export const packed = join(import.meta.dirname, '..', '.packed')

/** Compiling and bundling are slow, especially beside other tests. */
const PATIENCE_MS = 150_000

export type Ended = { readonly code: number | null; readonly output: string }

/** Runs a program of Node in the application until it ends. `output` is stdout and stderr. */
export async function run(app: string, args: readonly string[]): Promise<Ended> {
  // The program must not inherit conditions or loaders of the process that runs the tests.
  const { NODE_OPTIONS: _, NODE_ENV: __, ...own } = process.env
  const child = spawn(process.execPath, args, {
    cwd: resolve(packed, app),
    env: { ...own, NODE_NO_WARNINGS: '1' },
  })
  tidy({ stop: () => child.kill('SIGKILL') })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk))
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, output }))
  })
  return within(ended, `node ${args.join(' ')}`, PATIENCE_MS)
}
