import { install } from '@sinonjs/fake-timers'
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'

/** The time at which every run begins. It is later than the start of any process, from which the server counts its time. */
const START = Date.UTC(2050, 0, 1)

/**
 * Virtual time. Until `end`, it replaces the timers, `Date`, `Math.random` and `randomUUID` of the whole process. A run goes from timer to
 * timer and lets promises settle between them. It does not return to the real event loop before its end, so no real event can
 * come in between.
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
    const { randomUUID } = crypto
    let ids = 0
    // The ranking of nodes depends on their ids.
    crypto.randomUUID = () => `00000000-0000-4000-8000-${(++ids).toString(16).padStart(12, '0')}` as const
    // Without this, `import { setTimeout } from 'node:timers/promises'` is the real one.
    syncBuiltinESMExports()
    this.#restore = () => {
      this.#clock.uninstall()
      Math.random = realRandom
      crypto.randomUUID = randomUUID
      syncBuiltinESMExports()
    }
  }

  /** Milliseconds since the run began. */
  get now(): number {
    return this.#clock.now - START
  }

  /** The number of timers that are set. */
  get timers(): number {
    return this.#clock.countTimers()
  }

  /** Runs all timers up to this time. Rejects with the error that a timer throws. */
  runUntil(time: number): Promise<void> {
    return new Promise((resolve, reject) => {
      let isOver = false
      setTimeout(() => (isOver = true), time - this.now)
      // Node runs a tick that a promise callback requests when there are no more promises to settle.
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
