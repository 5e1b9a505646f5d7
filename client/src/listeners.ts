import type { SchemaError } from '@broadcaster/channels'
import {
  deferred,
  type Deferred,
  type GapReason,
  type Position,
  type ReplayedMessage,
} from '@broadcaster/protocol'
import { isDevelopment } from './development.ts'
import { BroadcasterError } from './errors.ts'
import type { Emitter } from './events.ts'
import type { Settings } from './options.ts'
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
  /** Its body is of the type that the channel has. */
  readonly handler: MessageHandler<never>
  readonly options: SubscribeOptions
  isActive: boolean
  /** The number of older messages that it has asked for. Until it has got them, it gets no other messages. */
  awaited: number
  /** The promise of `ready`. */
  answer: Deferred
}

/** What {@link Listeners} use of the client. */
export interface ListenersHost {
  readonly emitter: Emitter
  readonly settings: Settings
  /** Why the client has given up. `null` if it has not. */
  readonly givenUp: BroadcasterError | null
}

/**
 * The subscriptions of the application to one channel, and their status. All calls of their handlers are made here.
 *
 * A handler may call any method of the client. So each method here changes its state first and calls handlers last. It
 * stops calling them when one of them has changed the state again.
 */
export class Listeners {
  status: SubscriptionStatus
  error: BroadcasterError | null
  readonly #name: string
  readonly #host: ListenersHost
  /** The array is replaced, never changed, so that it does not change during a delivery. */
  #all: readonly Listener[] = []

  constructor(name: string, host: ListenersHost) {
    this.#name = name
    this.#host = host
    this.error = host.givenUp
    this.status = host.givenUp ? 'error' : 'subscribing'
  }

  get count(): number {
    return this.#all.length
  }

  /** The number of older messages that the listeners wait for. */
  get awaited(): number {
    return Math.max(0, ...this.#all.map(({ awaited }) => awaited))
  }

  /** @param onEmpty called when the application has ended the last subscription with the returned function. */
  add(handler: MessageHandler<never>, options: SubscribeOptions, onEmpty: () => void): Subscription {
    const listener: Listener = {
      handler,
      options,
      isActive: true,
      awaited: options.replay ?? 0,
      answer: deferred(),
    }
    this.#settle(listener)
    this.#all = [...this.#all, listener]
    const end = () => {
      if (!listener.isActive) return
      this.#end(listener)
      this.#all = this.#all.filter(({ isActive }) => isActive)
      if (!this.count) onEmpty()
    }
    if (options.wasAway) {
      queueMicrotask(() =>
        this.#call(listener, () => options.onGap?.({ channel: this.#name, reason: 'expired' })),
      )
    }
    return Object.defineProperties(end, {
      channel: { value: this.#name },
      // It is subscribed when it has its older messages.
      status: { get: () => (listener.awaited && this.status === 'subscribed' ? 'subscribing' : this.status) },
      error: { get: () => this.error },
      ready: { get: () => listener.answer.promise },
    }) as Subscription
  }

  clear(): void {
    for (const listener of this.#all) this.#end(listener)
    this.#all = []
  }

  setStatus(status: SubscriptionStatus, error: BroadcasterError | null = null): void {
    if (this.status === status && this.error === error) return
    const isNew = this.status !== status
    this.status = status
    this.error = error
    const listeners = this.#all
    if (isNew) for (const listener of listeners) this.#settle(listener)
    for (const listener of listeners) {
      // A handler has changed the status again. All handlers were already called with the newer status.
      if (this.status !== status || this.error !== error) return
      if (status !== 'subscribed' || !listener.awaited) this.#tellStatus(listener)
    }
  }

  #tellStatus(listener: Listener): void {
    this.#call(listener, () => listener.options.onStatus?.(this.status, this.error))
  }

  deliver(body: string, position: Position | undefined): void {
    if (!this.count) return
    const channel = this.#name
    const message: Message = { channel, body, position }
    const handle = this.#parse(message)
    for (const listener of this.#all) if (!listener.awaited) handle(listener)
    this.#host.emitter.emit(['message', channel, body, message], [`message:${channel}`, body, message])
  }

  /**
   * Delivers the older messages to the listeners that wait for no more than `asked` of them, while `isOn` returns true. After that,
   * they wait for the rest.
   */
  deliverHistory(history: readonly ReplayedMessage[], asked: number, isOn: () => boolean): void {
    const channel = this.#name
    for (const listener of this.#all) {
      const { awaited } = listener
      if (!awaited || awaited > asked || !isOn()) continue
      listener.awaited = 0
      this.#tellStatus(listener)
      const left = history.slice(-awaited)
      while (left.length > 0 && isOn()) {
        const [body, position] = left.shift()!
        this.#parse({ channel, body, position, isReplayed: true })(listener)
      }
      listener.awaited = left.length
      this.#settle(listener)
    }
  }

  tellGap(reason: GapReason, position: Position | undefined): void {
    if (!this.count) return
    const gap: Gap = { channel: this.#name, reason, position }
    for (const listener of this.#all) this.#call(listener, () => listener.options.onGap?.(gap))
    this.#host.emitter.emit(['gap', gap])
  }

  /** Parses the body, once for all listeners. Returns a function that calls the handler of a listener. */
  #parse(message: Message): (listener: Listener) => void {
    const { channelMap } = this.#host.settings
    let parsed: unknown = message.body
    let error: SchemaError | undefined
    try {
      if (channelMap) parsed = channelMap.decode(this.#name, message.body)
    } catch (thrown) {
      error = thrown as SchemaError
    }
    return (listener) =>
      this.#call(listener, () => {
        const { handler, options } = listener
        if (!error) return handler(parsed as never, message)
        if (!options.onError) throw error
        return options.onError(error, message)
      })
  }

  /** Makes the promise of `ready` agree with the status. */
  #settle(listener: Listener): void {
    const { status, error } = this
    if (status === 'subscribed') {
      if (!listener.awaited) listener.answer.resolve()
    } else if (error && status !== 'subscribing') listener.answer.reject(error)
    else listener.answer = deferred()
  }

  #end(listener: Listener): void {
    listener.isActive = false
    listener.answer.reject(
      new BroadcasterError('aborted', isDevelopment && `The subscription of '${this.#name}' was ended`),
    )
  }

  #call(listener: Listener, code: () => unknown): void {
    if (listener.isActive)
      this.#host.emitter.call(isDevelopment && `A handler of channel '${this.#name}'`, code)
  }
}
