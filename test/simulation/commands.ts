import { BroadcasterError } from '../../server/src/errors.ts'
import type { Broker } from './broker.ts'
import { Pipe } from './pipe.ts'
import { delayMs, type World } from './world.ts'

/** A command that has no answer by then has failed, as in the Redis backend; it may be done all the same. */
const TIMEOUT_MS = 3000

/** A node's connection for commands: they are done in the order in which they were given, each in one step. */
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
      // Of a process that is no more nobody waits for anything.
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
        // In one step: nothing else is done before the promise has settled.
        void Promise.resolve(execute()).then((result) =>
          this.#replies.send(() => settle(() => resolve(result))),
        )
      })
    })
  }

  stall(ms: number): void {
    this.#world.random.pick([this.#requests, this.#replies]).stall(ms)
  }

  /** The connection breaks: of what was under way some was done and some was not. */
  cut(): void {
    this.#requests.clear()
    this.#replies.clear()
    for (const fail of this.#pending) fail(unavailable('The connection to the broker was lost'))
  }

  /** The process is no more. What it has sent may still arrive. */
  close(): void {
    this.#isClosed = true
    this.#broker.commands.delete(this)
    if (this.#world.random.chance(0.5)) this.#requests.clear()
  }
}

function unavailable(what: string): BroadcasterError {
  return new BroadcasterError('brokerUnavailable', what)
}
