import { spawn } from 'node:child_process'
import { tidy } from '../support/tidy.ts'
import type { Ended } from './packed.ts'

/** What npm, Vitest and GitHub tell the processes that they start. The certificates of a proxy stay, so that npm reaches the registry. */
const NOT_OF_A_TERMINAL = /^(npm_|NODE_(?!EXTRA_CA_CERTS)|VITE|GITHUB_|TEST$)/

/** Runs a command with the environment of a terminal, and without its input, until it ends. `output` is stdout and stderr. */
export function runInTerminal(
  cwd: string,
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const own = Object.entries(process.env).filter(([name]) => !NOT_OF_A_TERMINAL.test(name))
  const child = spawn(command, args, {
    cwd,
    env: { ...Object.fromEntries(own), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  tidy({ stop: () => child.kill('SIGKILL') })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, output }))
  })
}
