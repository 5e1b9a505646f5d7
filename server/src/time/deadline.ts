import { runningTimeout } from './runningTimeout.ts'
import { uptimeMs } from './uptime.ts'

/** The point in time at which an operation must be over. A timer is started only by {@link wait}. */
export class Deadline {
  readonly #endsAt: number
  /** The timer may fire a moment before the clock shows the time. */
  #hasFired = false

  constructor(ms: number) {
    this.#endsAt = uptimeMs() + ms
  }

  get isOver(): boolean {
    return this.#hasFired || uptimeMs() >= this.#endsAt
  }

  /** Resolves with `work`, or at the deadline if that is earlier; later if the process is blocked meanwhile. */
  async wait(work: Promise<void>): Promise<void> {
    let cancel = (): void => {}
    const timeIsUp = new Promise<void>((resolve) => {
      cancel = runningTimeout(this.#endsAt - uptimeMs(), () => {
        this.#hasFired = true
        resolve()
      })
    })
    await Promise.race([work, timeIsUp])
    cancel()
  }
}
