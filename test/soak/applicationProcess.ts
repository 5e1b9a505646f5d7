import { join } from 'node:path'
import { ChildProcess } from '../support/childProcess.ts'
import type { Memory } from '../support/memory.ts'
import type { ApplicationSetup } from './application.ts'
import type { Ask, Look } from './applicationMain.ts'

/** The application in its own process. */
export class ApplicationProcess extends ChildProcess<Ask> {
  #ports: readonly number[] = []

  static async start(setup: ApplicationSetup): Promise<ApplicationProcess> {
    const application = new ApplicationProcess(join(import.meta.dirname, 'applicationMain.ts'), [
      JSON.stringify(setup),
    ])
    const { ports } = await application.message<{ ports: number[] }>('the application to listen')
    application.#ports = ports
    return application
  }

  get ports(): readonly number[] {
    return this.#ports
  }

  look(): Promise<Look> {
    return this.ask({ type: 'look' })
  }

  measure(): Promise<Memory> {
    return this.ask({ type: 'measure' })
  }

  publish(channel: string, body: string): void {
    this.send({ type: 'publish', channel, body })
  }
}
