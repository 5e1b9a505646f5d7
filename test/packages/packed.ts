import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import type { Packed } from '../../release/pack.ts'
import { tidy } from '../support/tidy.ts'
import { within } from '../support/waiting.ts'

/** The directory of the packed packages and their applications. It is not in `node_modules`, where Jest transforms nothing. */
export const packed = join(import.meta.dirname, '..', '.packed')

/** The tarballs of the packages, and what npm told when it made them. */
export const tarballs = join(packed, 'tarballs')
export const packedList = join(tarballs, 'list.json')

export function allPacked(): readonly Packed[] {
  return JSON.parse(readFileSync(packedList, 'utf8')) as Packed[]
}

/** The newest TypeScript, the last one of 5.x, and the oldest one that the packages support. */
export const compilers = ['typescript', 'typescript5', 'typescript54'] as const

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

/** Checks files of the application with a compiler of TypeScript. An option that is empty has its default. */
export function compile(
  app: string,
  files: readonly string[],
  options: Readonly<Record<string, string>>,
  compiler: (typeof compilers)[number] = 'typescript',
): Promise<Ended> {
  const isNewest = compiler === 'typescript'
  const all = { types: 'node', target: 'es2022', ...(isNewest && { checkers: '1' }), ...options }
  const args = Object.entries(all).flatMap(([name, value]) => (value === '' ? [] : [`--${name}`, value]))
  const require = createRequire(import.meta.url)
  const bin = join(dirname(require.resolve(`${compiler}/package.json`)), 'bin', 'tsc')
  const own = isNewest ? ['--ignoreConfig'] : []
  return run(app, [bin, ...own, '--strict', '--noEmit', ...args, ...files])
}
