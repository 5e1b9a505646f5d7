import { BroadcasterError } from './errors.ts'
import type { Events } from './types.ts'

export type Listener<Name extends keyof Events> = (...args: Events[Name]) => void

interface Entry {
  // One map holds the listeners of every event; `on` and `emit` see to it that the arguments fit.
  readonly listener: (...args: any[]) => void
  readonly once: boolean
}

/** The listeners of a client. One that throws harms nobody: the `error` event tells of it. */
export class Emitter {
  // Arrays are replaced, never changed, so that an emit in progress is not disturbed.
  readonly #entries = new Map<string, readonly Entry[]>()

  /** @returns the function that takes the listener away again; once more does nothing. */
  on<Name extends keyof Events>(name: Name, listener: Listener<Name>, once = false): () => void {
    const entry: Entry = { listener, once }
    this.#entries.set(name, [...(this.#entries.get(name) ?? []), entry])
    return () => this.#remove(name, (other) => other === entry)
  }

  off<Name extends keyof Events>(name: Name, listener?: Listener<Name>): void {
    this.#remove(name, (entry) => !listener || entry.listener === listener)
  }

  emit<Name extends keyof Events>(name: Name, ...args: Events[Name]): void {
    const entries = this.#entries.get(name)
    if (!entries) {
      // An error that nobody listens for must not vanish.
      if (name === 'error') console.error(args[0])
      return
    }
    for (const entry of entries) {
      if (!this.#entries.get(name)?.includes(entry)) continue
      if (entry.once) this.#remove(name, (other) => other === entry)
      try {
        entry.listener(...args)
      } catch (thrown) {
        if (name === 'error') console.error(thrown)
        else this.failed(`A listener of '${name}' threw`, thrown)
      }
    }
  }

  /** Tells that code of the application threw. */
  failed(what: string, thrown: unknown): void {
    this.emit(
      'error',
      new BroadcasterError('handler', `${what}: ${BroadcasterError.from(thrown).message}`, thrown),
    )
  }

  #remove(name: string, matches: (entry: Entry) => boolean): void {
    const left = (this.#entries.get(name) ?? []).filter((entry) => !matches(entry))
    if (left.length > 0) this.#entries.set(name, left)
    else this.#entries.delete(name)
  }
}
