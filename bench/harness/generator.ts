import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Commands, Request, Response } from '../generator/main.ts'

type Waiting = { resolve(result: unknown): void; reject(error: Error): void }

/** The load generator in its own process. It executes one command at a time. */
export class Generator {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, Waiting>()
  #nextId = 1

  static async start(redisPort: number): Promise<Generator> {
    const child = fork(fileURLToPath(new URL('../generator/main.ts', import.meta.url)), [String(redisPort)], {
      execArgv: ['--import', 'tsx'],
    })
    await once(child, 'message')
    return new Generator(child)
  }

  private constructor(child: ChildProcess) {
    this.#child = child
    child.on('message', ({ id, result, error }: Response) => {
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (error === undefined) waiting?.resolve(result)
      else waiting?.reject(new Error(error))
    })
    child.on('exit', (code) => {
      for (const { reject } of this.#waiting.values())
        reject(new Error(`The load generator ended with ${code}.`))
    })
  }

  call<Name extends keyof Commands>(
    name: Name,
    ...args: Parameters<Commands[Name]>
  ): Promise<Awaited<ReturnType<Commands[Name]>>> {
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, {
        resolve: (result) => resolve(result as Awaited<ReturnType<Commands[Name]>>),
        reject,
      })
      this.#child.send({ id, name, args } satisfies Request)
    })
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exit = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exit
  }
}
