import { fork, type ChildProcess as NodeChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { basename } from 'node:path'
import { program } from './program.ts'
import { within } from './waiting.ts'

const LONGEST_OUTPUT = 100_000
/** How long an answer may take: the machine may be very busy. */
const PATIENCE_MS = 60_000

/** A process that answers questions over IPC. A test sees how it ends, and what it wrote. */
export class ChildProcess<Question extends string | object> {
  readonly #child: NodeChildProcess
  readonly #ended: Promise<never>
  #output = ''
  #isStopping = false
  #death: string | null = null
  #questions: Promise<unknown> = Promise.resolve()

  /** Starts a TypeScript file as a {@link program}, with `gc()`. */
  constructor(main: string, args: readonly string[]) {
    this.#child = fork(program(main), args, {
      execArgv: ['--expose-gc'],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, NODE_ENV: 'production', NODE_OPTIONS: '' },
    })
    const keep = (chunk: Buffer) =>
      void (this.#output = (this.#output + String(chunk)).slice(-LONGEST_OUTPUT))
    this.#child.stdout!.on('data', keep)
    this.#child.stderr!.on('data', keep)
    // 'close' is emitted after all output was read.
    this.#ended = once(this.#child, 'close').then(([code, signal]) => {
      const death = `The process of ${basename(main)} ended with ${code ?? signal}`
      if (!this.#isStopping) this.#death = death
      throw new Error(death, { cause: this.#output })
    })
    this.#ended.catch(() => {})
  }

  /** Why it has ended, or `null` while it runs. */
  get death(): string | null {
    return this.#death
  }

  /** The last part of what it wrote. */
  get output(): string {
    return this.#output
  }

  /** The promise's value, unless the process ends before it has one. */
  whileAlive<T>(promise: Promise<T>): Promise<T> {
    return Promise.race([promise, this.#ended])
  }

  /** Sends something that has no answer. It is lost if the process has ended. */
  send(message: Question): void {
    if (this.#child.connected) this.#child.send(message, () => {})
  }

  /** Asks one question at a time, so that the next message is the answer to it. */
  ask<T>(question: Question): Promise<T> {
    const answer = this.#questions.then(() => {
      this.send(question)
      return this.message<T>(`an answer to ${JSON.stringify(question)}`)
    })
    this.#questions = answer.catch(() => {})
    return answer
  }

  /** Its next message. */
  async message<T>(what: string): Promise<T> {
    const [message] = (await within(this.whileAlive(once(this.#child, 'message')), what, PATIENCE_MS)) as [T]
    return message
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exited
  }
}
