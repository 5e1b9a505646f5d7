import { isDevelopment } from './development.ts'
import { BroadcasterError, textOf } from './errors.ts'
import type { Events } from './types.ts'

export type Listener<Name extends keyof Events> = (...args: Events[Name]) => unknown

interface Entry {
  // One map holds the listeners of all events. The types of `on` and `emit` ensure that the arguments fit.
  readonly listener: (...args: any[]) => unknown
  readonly once: boolean
}

/** An event with the arguments of its listeners. */
type Occurrence = {
  [Name in keyof Events]: readonly [name: Name, ...args: Events[Name]]
}[keyof Events]

/**
 * The listeners of a client. If a listener throws or rejects, the others are still called, and an `error` event is emitted.
 *
 * A listener may cause further events. They are emitted after all listeners of the current event were called. So all
 * listeners get events in the same order.
 */
export interface Emitter {
  /** @returns a function that removes the listener. A second call does nothing. */
  on<Name extends keyof Events>(name: Name, listener: Listener<Name>, once?: boolean): () => void
  off<Name extends keyof Events>(name: Name, listener?: Listener<Name>): void
  /** Events that a listener causes come after the last of these. */
  emit(...occurrences: Occurrence[]): void
  /**
   * Calls code of the application, and does not wait for it. If it throws or rejects, an `error` event is emitted. If
   * `what` is null, the error is written to the console instead. In production, `what` is false.
   */
  call(what: string | false | null, code: () => unknown): void
}

export function makeEmitter(): Emitter {
  // Arrays are replaced, never changed, so that they do not change during an emit.
  const events = new Map<string, readonly Entry[]>()
  /** The events that are being emitted, or wait for that. */
  const queue: Occurrence[] = []

  const remove = (name: string, matches: (entry: Entry) => boolean) => {
    const left = (events.get(name) ?? []).filter((entry) => !matches(entry))
    if (left.length > 0) events.set(name, left)
    else events.delete(name)
  }

  const tell = ([name, ...args]: Occurrence) => {
    const entries = events.get(name) ?? []
    // An error without a listener must still be visible.
    if (!entries.length && name === 'error') console.error(...args)
    for (const entry of entries) {
      if (!events.get(name)?.includes(entry)) continue
      if (entry.once) remove(name, (other) => other === entry)
      const what = isDevelopment && `A listener of '${name}'`
      emitter.call(name === 'error' ? null : what, () => entry.listener(...args))
    }
  }

  const emitter: Emitter = {
    on: (name, listener, once = false) => {
      const entry: Entry = { listener, once }
      events.set(name, [...(events.get(name) ?? []), entry])
      return () => remove(name, (other) => other === entry)
    },
    off: (name, listener) => remove(name, (entry) => !listener || entry.listener === listener),
    emit: (...occurrences) => {
      const isTelling = queue.length > 0
      queue.push(...occurrences)
      if (isTelling) return
      for (const occurrence of queue) tell(occurrence)
      queue.length = 0
    },
    call: (what, code) => {
      const onFail = (thrown: unknown) => {
        if (what === null) return console.error(thrown)
        emitter.emit([
          'error',
          new BroadcasterError('handler', isDevelopment && `${what} threw: ${textOf(thrown)}`, thrown),
        ])
      }
      try {
        const result = code() as { then?: unknown } | null | undefined
        // The promise may come from another frame or from a library. It is wrapped in our own promise, so its failure is
        // caught even if its `then` throws.
        if (result?.then) new Promise((resolve) => resolve(result)).catch(onFail)
      } catch (thrown) {
        onFail(thrown)
      }
    },
  }
  return emitter
}
