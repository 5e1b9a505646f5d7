import { install } from '@sinonjs/fake-timers'
import { syncBuiltinESMExports } from 'node:module'

/** When every run begins: the same time for all, and later than the start of any process, from which the server counts. */
const START = Date.UTC(2100, 0, 1)

/**
 * Virtual time: timers, `Date` and `Math.random` of the whole process belong to the run until `end`. A run goes from
 * timer to timer, and lets promises settle between two of them; it does not come back to the real event loop before
 * its end, so nothing real can come in between.
 */
export class VirtualTime {
  readonly #clock: ReturnType<typeof install>
  readonly #restore: () => void

  constructor(random: () => number) {
    this.#clock = install({
      now: START,
      toFake: [
        'setTimeout',
        'clearTimeout',
        'setInterval',
        'clearInterval',
        'setImmediate',
        'clearImmediate',
        'Date',
        'performance',
      ],
    })
    const { random: realRandom } = Math
    Math.random = random
    // `import { setTimeout } from 'node:timers/promises'` takes no notice of it otherwise.
    syncBuiltinESMExports()
    this.#restore = () => {
      this.#clock.uninstall()
      Math.random = realRandom
      syncBuiltinESMExports()
    }
  }

  /** Milliseconds since the run began. */
  get now(): number {
    return this.#clock.now - START
  }

  /** Runs everything that is due by then. Rejects with what a timer threw. */
  runUntil(time: number): Promise<void> {
    return new Promise((resolve, reject) => {
      let isOver = false
      setTimeout(() => (isOver = true), time - this.now)
      // A tick that was asked for by a promise comes when no promise is left to settle.
      const next = (): void => void Promise.resolve().then(() => process.nextTick(step))
      const step = (): void => {
        if (isOver) return resolve()
        try {
          this.#clock.next()
        } catch (error) {
          return reject(error instanceof Error ? error : new Error(String(error)))
        }
        next()
      }
      next()
    })
  }

  end(): void {
    this.#restore()
  }
}
