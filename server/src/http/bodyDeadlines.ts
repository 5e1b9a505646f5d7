import { uptimeMs } from '../time/uptime.ts'

/** The maximum time for the whole body of a request, in ms. */
const BODY_MS = 10_000
const CHECK_MS = 500

/** The bodies that are being received. Nearly all of them arrive at once, so they share a timer instead of having one each. */
export class BodyDeadlines {
  /** What to call if a body is late, and when it has begun. The oldest is the first. */
  readonly #begun = new Map<() => void, number>()
  #timer: NodeJS.Timeout | null = null

  add(late: () => void): void {
    this.#begun.set(late, uptimeMs())
    this.#timer ??= setInterval(() => this.#check(), CHECK_MS).unref()
  }

  delete(late: () => void): void {
    this.#begun.delete(late)
  }

  #check(): void {
    const latest = uptimeMs() - BODY_MS
    for (const [late, begunAt] of this.#begun) {
      if (begunAt > latest) break
      this.#begun.delete(late)
      late()
    }
    if (this.#begun.size > 0 || this.#timer === null) return
    clearInterval(this.#timer)
    this.#timer = null
  }
}
