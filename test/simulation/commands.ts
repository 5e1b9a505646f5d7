import { BroadcasterError } from '../../server/src/errors.ts'
import type { Broker } from './broker.ts'
import { Pipe } from './pipe.ts'
import { delayMs, type World } from './world.ts'

/** As in the Redis backend, a command without an answer after this time fails. The broker may execute it nevertheless. */
const TIMEOUT_MS = 3000

/** A node's connection for commands. The broker executes them in order, each in one step. */
export class Commands {
  readonly #world: World
  readonly #broker: Broker
  readonly #requests: Pipe<() => void>
  readonly #replies: Pipe<() => void>
  readonly #pending = new Set<(error: Error) => void>()
  #isClosed = false

  constructor(world: World, broker: Broker) {
    this.#world = world
    this.#broker = broker
    const callAll = (calls: readonly (() => void)[]): void => {
      for (const call of calls) call()
    }
    this.#requests = new Pipe(() => delayMs(world), callAll)
    this.#replies = new Pipe(() => delayMs(world), callAll)
    broker.commands.add(this)
  }

  run<T>(execute: () => T | Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      // The process has ended, so nothing waits for the result.
      if (this.#isClosed) return
      const fail = (error: Error): void => settle(() => reject(error))
      const timer = setTimeout(() => fail(unavailable('The broker did not answer in time')), TIMEOUT_MS)
      const settle = (act: () => void): void => {
        clearTimeout(timer)
        if (this.#pending.delete(fail) && !this.#isClosed) act()
      }
      this.#pending.add(fail)
      this.#requests.send(() => {
        if (!this.#broker.isUp) {
          this.#replies.send(() => fail(unavailable('The broker is away')))
          return
        }
        // No other command runs before the promise has settled, so this is one step.
        void Promise.resolve(execute()).then((result) =>
          this.#replies.send(() => settle(() => resolve(result))),
        )
      })
    })
  }

  stall(ms: number): void {
    this.#world.random.pick([this.#requests, this.#replies]).stall(ms)
  }

  /** Breaks the connection. Some commands in flight have been executed, and others have not. */
  cut(): void {
    this.#requests.clear()
    this.#replies.clear()
    for (const fail of this.#pending) fail(unavailable('The connection to the broker was lost'))
  }

  /** The process has ended. Commands in flight may still arrive. */
  close(): void {
    this.#isClosed = true
    this.#broker.commands.delete(this)
    if (this.#world.random.chance(0.5)) this.#requests.clear()
  }
}

function unavailable(what: string): BroadcasterError {
  return new BroadcasterError('brokerUnavailable', what)
}
