import type { SessionStore } from '../../server/src/backends/sessions.ts'
import type { Commands } from './commands.ts'

type Step = Exclude<keyof SessionStore, 'all'>

/** A node's access to the store of sessions. Every step is atomic, takes some time, and can fail. */
export class SimulatedSessions implements SessionStore {
  readonly commands: Commands
  readonly #store: () => SessionStore

  constructor(commands: Commands, store: () => SessionStore) {
    this.commands = commands
    this.#store = store
  }

  readonly create = this.#step('create')
  readonly touch = this.#step('touch')
  readonly identify = this.#step('identify')
  readonly beginPoll = this.#step('beginPoll')
  readonly commitAnswer = this.#step('commitAnswer')
  readonly reserve = this.#step('reserve')
  readonly release = this.#step('release')
  readonly subscribe = this.#step('subscribe')
  readonly unsubscribe = this.#step('unsubscribe')
  readonly end = this.#step('end')
  readonly count = this.#step('count')

  all(): ReturnType<SessionStore['all']> {
    return this.#store().all()
  }

  #step<Name extends Step>(name: Name): SessionStore[Name] {
    const step = (...args: unknown[]): Promise<unknown> =>
      this.commands.run(() => {
        // The store is read when the command arrives, because the broker may have lost the old one. The arguments fit the step.
        const store = this.#store() as unknown as Record<Step, (...args: unknown[]) => Promise<unknown>>
        return store[name](...args)
      })
    return step as SessionStore[Name]
  }
}
