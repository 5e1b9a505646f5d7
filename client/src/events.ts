import { BroadcasterError } from './errors.ts'
import type { Events } from './types.ts'

export type Listener<Name extends keyof Events> = (...args: Events[Name]) => unknown

interface Entry {
  // One map holds the listeners of every event; `on` and `emit` see to it that the arguments fit.
  readonly listener: (...args: any[]) => unknown
  readonly once: boolean
}

/** An event with the arguments of its listeners. */
type Occurrence = {
  [Name in keyof Events]: readonly [name: Name, args: Readonly<Events[Name]>]
}[keyof Events]

/**
 * The listeners of a client. One that throws or rejects harms nobody: the `error` event tells of it.
 *
 * A listener may cause further events. Those are told when the current one has been told to all, so that all listeners hear
 * events in the same order.
 */
export interface Emitter {
  /** @returns the function that takes the listener away again; once more does nothing. */
  on<Name extends keyof Events>(name: Name, listener: Listener<Name>, once?: boolean): () => void
  off<Name extends keyof Events>(name: Name, listener?: Listener<Name>): void
  emit<Name extends keyof Events>(name: Name, ...args: Events[Name]): void
  /** Emits several: what a listener causes comes after the last of them. */
  emitAll(...occurrences: Occurrence[]): void
  /**
   * Calls code of the application, and does not wait for it. What it throws or rejects with is an `error` event, or is
   * written to the console where `what` is null.
   */
  call(what: string | null, code: () => unknown): void
}

export function makeEmitter(): Emitter {
  // Arrays are replaced, never changed, so that an emit in progress is not disturbed.
  const events = new Map<string, readonly Entry[]>()
  /** Events that are being told, or wait for it. */
  const queue: Occurrence[] = []

  const remove = (name: string, matches: (entry: Entry) => boolean) => {
    const left = (events.get(name) ?? []).filter((entry) => !matches(entry))
    if (left.length > 0) events.set(name, left)
    else events.delete(name)
  }

  const tell = ([name, args]: Occurrence) => {
    const entries = events.get(name)
    // An error that nobody listens for must not vanish.
    if (!entries && name === 'error') console.error(args[0])
    for (const entry of entries ?? []) {
      if (!events.get(name)?.includes(entry)) continue
      if (entry.once) remove(name, (other) => other === entry)
      emitter.call(name === 'error' ? null : `A listener of '${name}'`, () => entry.listener(...args))
    }
  }

  const emitter: Emitter = {
    on: (name, listener, once = false) => {
      const entry: Entry = { listener, once }
      events.set(name, [...(events.get(name) ?? []), entry])
      return () => remove(name, (other) => other === entry)
    },
    off: (name, listener) => remove(name, (entry) => !listener || entry.listener === listener),
    // The compiler does not see that the two belong together.
    emit: (name, ...args) => emitter.emitAll([name, args] as unknown as Occurrence),
    emitAll: (...occurrences) => {
      const isTelling = queue.length > 0
      queue.push(...occurrences)
      if (isTelling) return
      for (const occurrence of queue) tell(occurrence)
      queue.length = 0
    },
    call: (what, code) => {
      const onFail = (thrown: unknown) => {
        if (what === null) return console.error(thrown)
        const { message } = BroadcasterError.from(thrown)
        emitter.emit('error', new BroadcasterError('handler', `${what} threw: ${message}`, thrown))
      }
      try {
        const result = code() as { then?: unknown } | null | undefined
        // Whoever made the promise, another frame or a library, one of our own has its end, even if its `then` throws.
        if (result?.then) new Promise((resolve) => resolve(result)).catch(onFail)
      } catch (thrown) {
        onFail(thrown)
      }
    },
  }
  return emitter
}
