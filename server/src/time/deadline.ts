import { uptimeMs } from './uptime.ts'

/** Until when something may take. Costs nothing unless there is something to wait for. */
export class Deadline {
  readonly #at: number

  constructor(ms: number) {
    this.#at = uptimeMs() + ms
  }

  get isOver(): boolean {
    return uptimeMs() >= this.#at
  }

  /** Resolves with `work`, or when the time is over. */
  async wait(work: Promise<void>): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const timeIsUp = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#at - uptimeMs())
    })
    await Promise.race([work, timeIsUp])
    clearTimeout(timer)
  }
}
