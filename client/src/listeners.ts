import { deferred, type Deferred, type GapReason, type Position } from '@broadcaster/protocol'
import { BroadcasterError } from './errors.ts'
import type { Emitter } from './events.ts'
import type {
  Gap,
  Message,
  MessageHandler,
  SubscribeOptions,
  Subscription,
  SubscriptionStatus,
} from './types.ts'

/** One call of `subscribe()`. */
interface Listener {
  readonly handler: MessageHandler
  readonly options: SubscribeOptions
  isActive: boolean
  /** The promise of `ready`. */
  answer: Deferred
}

/**
 * The subscriptions of the application to one channel, and their status. All calls of their handlers are made here.
 *
 * A handler may call any method of the client. So each method here changes its state first and calls handlers last. It
 * stops calling them when one of them has changed the state again.
 */
export class Listeners {
  status: SubscriptionStatus = 'subscribing'
  error: BroadcasterError | null = null
  readonly #name: string
  readonly #emitter: Emitter
  /** The array is replaced, never changed, so that it does not change during a delivery. */
  #all: readonly Listener[] = []

  constructor(name: string, emitter: Emitter, givenUp: BroadcasterError | null) {
    this.#name = name
    this.#emitter = emitter
    if (givenUp) {
      this.status = 'error'
      this.error = givenUp
    }
  }

  get isEmpty(): boolean {
    return this.#all.length === 0
  }

  /** @param onEmpty called when the application has ended the last subscription with the returned function. */
  add(handler: MessageHandler, options: SubscribeOptions, onEmpty: () => void): Subscription {
    const listener: Listener = { handler, options, isActive: true, answer: deferred() }
    this.#settle(listener)
    this.#all = [...this.#all, listener]
    const end = () => {
      if (!listener.isActive) return
      this.#end(listener)
      this.#all = this.#all.filter((other) => other !== listener)
      if (this.isEmpty) onEmpty()
    }
    if (options.wasAway) {
      const gap: Gap = { channel: this.#name, reason: 'expired' }
      queueMicrotask(() => this.#call(listener, () => options.onGap?.(gap)))
    }
    return Object.defineProperties(end, {
      channel: { value: this.#name },
      status: { get: () => this.status },
      error: { get: () => this.error },
      ready: { get: () => listener.answer.promise },
    }) as Subscription
  }

  clear(): void {
    for (const listener of this.#all) this.#end(listener)
    this.#all = []
  }

  setStatus(status: SubscriptionStatus, error: BroadcasterError | null): void {
    if (this.status === status && this.error === error) return
    const isNew = this.status !== status
    this.status = status
    this.error = error
    const listeners = this.#all
    if (isNew) for (const listener of listeners) this.#settle(listener)
    for (const listener of listeners) {
      // A handler has changed the status again. All handlers were already called with the newer status.
      if (this.status !== status || this.error !== error) return
      this.#call(listener, () => listener.options.onStatus?.(status, error))
    }
  }

  deliver(body: string, position: Position | undefined): void {
    if (this.isEmpty) return
    const channel = this.#name
    const message: Message = position === undefined ? { channel, body } : { channel, body, position }
    for (const listener of this.#all) this.#call(listener, () => listener.handler(body, message))
    this.#emitter.emit('message', channel, body, message)
    this.#emitter.emit(`message:${channel}`, body, message)
  }

  tellGap(reason: GapReason, position: Position | undefined): void {
    if (this.isEmpty) return
    const channel = this.#name
    const gap: Gap = position === undefined ? { channel, reason } : { channel, reason, position }
    for (const listener of this.#all) this.#call(listener, () => listener.options.onGap?.(gap))
    this.#emitter.emit('gap', gap)
  }

  /** Makes the promise of `ready` agree with the status. */
  #settle(listener: Listener): void {
    const { status, error } = this
    if (status === 'subscribed') listener.answer.resolve()
    else if (error && status !== 'subscribing') listener.answer.reject(error)
    else listener.answer = deferred()
  }

  #end(listener: Listener): void {
    listener.isActive = false
    listener.answer.reject(new BroadcasterError('aborted', `The subscription of '${this.#name}' was ended`))
  }

  #call(listener: Listener, code: () => unknown): void {
    if (listener.isActive) this.#emitter.call(`A handler of channel '${this.#name}'`, code)
  }
}
