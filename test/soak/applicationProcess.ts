import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { within } from '../support/waiting.ts'
import type { ApplicationSetup } from './application.ts'
import type { Ask, Look, Memory } from './applicationMain.ts'

const LONGEST_OUTPUT = 100_000

/** The application, in a process whose end is seen. */
export class ApplicationProcess {
  readonly #child: ChildProcess
  #ports: readonly number[] = []
  #output = ''
  #isStopping = false
  #death: string | null = null
  readonly #ended: Promise<never>
  #questions: Promise<unknown> = Promise.resolve()

  static async start(setup: ApplicationSetup): Promise<ApplicationProcess> {
    const application = new ApplicationProcess(setup)
    const { ports } = (await application.#answer('to listen')) as { ports: number[] }
    application.#ports = ports
    return application
  }

  private constructor(setup: ApplicationSetup) {
    this.#child = fork(join(import.meta.dirname, 'applicationMain.ts'), [JSON.stringify(setup)], {
      execArgv: ['--expose-gc', '--conditions=@broadcaster/source', '--import', 'tsx'],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, NODE_ENV: 'production', NODE_OPTIONS: '' },
    })
    const keep = (chunk: Buffer) =>
      void (this.#output = (this.#output + String(chunk)).slice(-LONGEST_OUTPUT))
    this.#child.stdout!.on('data', keep)
    this.#child.stderr!.on('data', keep)
    // 'close' comes when everything that it has written was read.
    this.#ended = once(this.#child, 'close').then(([code, signal]) => {
      const death = `The application's process ended with ${code ?? signal}`
      if (!this.#isStopping) this.#death = death
      throw new Error(death)
    })
    this.#ended.catch(() => {})
  }

  get ports(): readonly number[] {
    return this.#ports
  }

  /** Why it is gone, or `null` while it lives. */
  get death(): string | null {
    return this.#death
  }

  /** What it has written, last. */
  get output(): string {
    return this.#output
  }

  /** The promise's value, unless the process ends before it has one. */
  whileAlive<T>(promise: Promise<T>): Promise<T> {
    return Promise.race([promise, this.#ended])
  }

  look(): Promise<Look> {
    return this.#ask({ type: 'look' }) as Promise<Look>
  }

  measure(): Promise<Memory> {
    return this.#ask({ type: 'measure' }) as Promise<Memory>
  }

  publish(channel: string, body: string): void {
    this.#send({ type: 'publish', channel, body })
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exited
  }

  /** One after the other, so that an answer is to the question. */
  #ask(question: Ask): Promise<unknown> {
    const answer = this.#questions.then(() => {
      this.#send(question)
      return this.#answer(`to answer '${question.type}'`)
    })
    this.#questions = answer.catch(() => {})
    return answer
  }

  /** Into nothing, if the application is gone: that is noticed elsewhere. */
  #send(question: Ask): void {
    if (this.#child.connected) this.#child.send(question, () => {})
  }

  async #answer(what: string): Promise<unknown> {
    const [answer] = (await within(
      this.whileAlive(once(this.#child, 'message')),
      `the application ${what}`,
      60_000,
    )) as [unknown]
    return answer
  }
}
