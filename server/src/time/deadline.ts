import { uptimeMs } from './uptime.ts'

/** The point in time at which an operation must be over. A timer is started only by {@link wait}. */
export class Deadline {
  readonly #at: number

  constructor(ms: number) {
    this.#at = uptimeMs() + ms
  }

  get isOver(): boolean {
    return uptimeMs() >= this.#at
  }

  /** Resolves with `work`, or at the deadline if that is earlier. */
  async wait(work: Promise<void>): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const timeIsUp = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#at - uptimeMs())
    })
    await Promise.race([work, timeIsUp])
    clearTimeout(timer)
  }
}
