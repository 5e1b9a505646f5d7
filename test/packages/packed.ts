import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { tidy } from '../support/tidy.ts'
import { within } from '../support/waiting.ts'

/** The directory of the packed packages and their applications. It is not in `node_modules`, where Jest transforms nothing. */
export const packed = join(import.meta.dirname, '..', '.packed')

/** The tarballs of the packages. */
export const tarballs = join(packed, 'tarballs')

const compiler = join(
  dirname(createRequire(import.meta.url).resolve('typescript/package.json')),
  'bin',
  'tsc',
)

/** Compiling and bundling are slow, especially beside other tests. */
const PATIENCE_MS = 150_000

export type Ended = { readonly code: number | null; readonly output: string }

/** Runs a program of Node in the application until it ends. `output` is stdout and stderr. */
export async function run(
  app: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  // The program must not inherit conditions or loaders of the process that runs the tests.
  const { NODE_OPTIONS: _, NODE_ENV: __, ...own } = process.env
  const child = spawn(process.execPath, args, {
    cwd: resolve(packed, app),
    env: { ...own, NODE_NO_WARNINGS: '1', ...env },
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

/** Checks files of the application with the compiler of TypeScript. */
export function compile(
  app: string,
  files: readonly string[],
  options: Readonly<Record<string, string>>,
): Promise<Ended> {
  const all = { types: 'node', target: 'es2022', checkers: '1', ...options }
  const args = Object.entries(all).flatMap(([name, value]) => [`--${name}`, value])
  return run(app, [compiler, '--ignoreConfig', '--strict', '--noEmit', ...args, ...files])
}
