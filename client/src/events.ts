import { isDevelopment } from './development.ts'
import { BroadcasterError, textOf } from './errors.ts'
import type { Events } from './types.ts'

export type Listener<Name extends keyof Events> = (...args: Events[Name]) => unknown

interface Entry {
  readonly name: string
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

  const remove = (entry: Entry) => {
    const left = events.get(entry.name)?.filter((other) => other !== entry)
    if (left?.length) events.set(entry.name, left)
    else events.delete(entry.name)
  }

  const tell = ([name, ...args]: Occurrence) => {
    const entries = events.get(name) ?? []
    // An error without a listener must still be visible.
    if (!entries.length && name === 'error') console.error(...args)
    for (const entry of entries) {
      // A listener has removed it meanwhile.
      if (!events.get(name)?.includes(entry)) continue
      if (entry.once) remove(entry)
      const what = isDevelopment && `A listener of '${name}'`
      emitter.call(name === 'error' ? null : what, () => entry.listener(...args))
    }
  }

  const emitter: Emitter = {
    on: (name, listener, once = false) => {
      const entry: Entry = { name, listener, once }
      events.set(name, [...(events.get(name) ?? []), entry])
      return () => remove(entry)
    },
    off: (name, listener) => {
      for (const entry of events.get(name) ?? []) if (!listener || entry.listener === listener) remove(entry)
    },
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
        // The promise may come from another frame or from a library, so it may have no `catch`. If its `then` throws, that is
        // caught, too.
        if (result?.then) Promise.resolve(result).catch(onFail)
      } catch (thrown) {
        onFail(thrown)
      }
    },
  }
  return emitter
}
