import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { within } from '../support/waiting.ts'

const LONGEST_OUTPUT = 100_000

/** A process of this folder that answers one question at a time. */
export class Child<Ask extends string | object> {
  readonly #child: ChildProcess
  readonly #ended: Promise<never>
  #isStopping = false
  output = ''
  /** Why it has ended, or `null` while it runs. */
  death: string | null = null

  constructor(file: string, args: readonly string[]) {
    this.#child = fork(join(import.meta.dirname, file), args, {
      execArgv: ['--expose-gc', '--conditions=@broadcaster/source', '--import', 'tsx'],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, NODE_ENV: 'production', NODE_OPTIONS: '' },
    })
    const keep = (chunk: Buffer) => void (this.output = (this.output + String(chunk)).slice(-LONGEST_OUTPUT))
    this.#child.stdout!.on('data', keep)
    this.#child.stderr!.on('data', keep)
    this.#ended = once(this.#child, 'close').then(([code, signal]) => {
      const death = `${file} ended with ${code ?? signal}`
      if (!this.#isStopping) this.death = death
      throw new Error(`${death}\n${this.output}`)
    })
    this.#ended.catch(() => {})
  }

  send(ask: Ask): void {
    if (this.#child.connected) this.#child.send(ask, () => {})
  }

  async answer<T>(what: string): Promise<T> {
    const answered = Promise.race([once(this.#child, 'message'), this.#ended])
    const [answer] = (await within(answered, what, 120_000)) as [T]
    return answer
  }

  ask<T>(ask: Ask): Promise<T> {
    const answered = this.answer<T>(`an answer to ${JSON.stringify(ask)}`)
    this.send(ask)
    return answered
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exited
  }
}
