import { spawn } from 'node:child_process'
import { join } from 'node:path'

export const root = join(import.meta.dirname, '..', '..')

export interface Counts {
  readonly passed: number
  readonly failed: number
  /** A line for each skipped test, with what it needs. */
  readonly skipped?: readonly string[]
}

/** The output of commands. It goes to the terminal at once, or to `text` for steps that run beside others. */
export class Output {
  readonly isLive: boolean
  text = ''

  constructor(isLive: boolean) {
    this.isLive = isLive
  }

  write(text: string): void {
    if (this.isLive) process.stdout.write(text)
    else this.text += text
  }
}

/** Runs a command until it ends. It counts as one passed or one failed step. */
export function command(output: Output, file: string, args: readonly string[]): Promise<Counts> {
  return new Promise((resolve) => {
    // The workers of Vitest must not inherit the options with which Node runs this file.
    const { NODE_OPTIONS: _, ...own } = process.env
    const stdio = output.isLive ? 'inherit' : 'pipe'
    const child = spawn(file, args, { cwd: root, env: own, stdio: ['ignore', stdio, stdio] })
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => output.write(text))
    }
    child.on('error', (error) => {
      output.write(`${error.message}\n`)
      resolve({ passed: 0, failed: 1 })
    })
    child.on('close', (code) => {
      if (code !== 0) output.write(`${file} ${args.join(' ')} ended with ${code}\n`)
      resolve(code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 })
    })
  })
}

export function sum(all: readonly Counts[]): Counts {
  return {
    passed: all.reduce((total, { passed }) => total + passed, 0),
    failed: all.reduce((total, { failed }) => total + failed, 0),
    skipped: all.flatMap(({ skipped = [] }) => skipped),
  }
}
