import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { program } from '../support/program.ts'
import { within } from '../support/waiting.ts'
import type { ClientSetup, FromClients, Heads, Results, ToClients } from './clientsMain.ts'

/** A process with many clients. */
export class Clients {
  readonly #child: ChildProcess

  constructor() {
    this.#child = fork(program(join(import.meta.dirname, 'clientsMain.ts')), [], {
      execArgv: [],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
  }

  /** Resolves when every client is subscribed to all its channels. */
  async start(clients: readonly ClientSetup[]): Promise<void> {
    await this.#ask({ type: 'start', clients }, 120_000)
  }

  /** The clients that have not received all messages up to `heads`. */
  async behind(heads: Heads): Promise<readonly string[]> {
    const answer = await this.#ask({ type: 'behind', heads })
    return answer.type === 'behind' ? answer.behind : []
  }

  async results(): Promise<Results> {
    const answer = await this.#ask({ type: 'results' })
    if (answer.type !== 'results') throw new Error(`Expected results, got ${answer.type}`)
    return answer.results
  }

  stop(): void {
    this.#child.kill('SIGKILL')
  }

  async #ask(message: ToClients, ms = 60_000): Promise<FromClients> {
    const answered = once(this.#child, 'message')
    this.#child.send(message)
    const [answer] = (await within(answered, `the clients to answer '${message.type}'`, ms)) as [FromClients]
    return answer
  }
}
