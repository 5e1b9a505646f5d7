import type { Channel } from './channel.ts'
import { deferred } from './deferred.ts'
import type { Deferred } from './deferred.ts'
import { BroadcasterError } from './errors.ts'
import type { MessageHandler, SubscribeOptions, Subscription } from './types.ts'

/** One call of `subscribe()`. */
export interface Listener {
  readonly handler: MessageHandler
  readonly options: SubscribeOptions
  isActive: boolean
  /** Behind `ready`. */
  answer: Deferred
}

export function makeListener(channel: Channel, handler: MessageHandler, options: SubscribeOptions): Listener {
  const listener: Listener = { handler, options, isActive: true, answer: deferred() }
  settle(listener, channel)
  return listener
}

/** Makes `ready` say what the channel's new status says. */
export function settle(listener: Listener, { status, error }: Channel): void {
  if (status === 'subscribed') listener.answer.resolve()
  else if (error && status !== 'subscribing') listener.answer.reject(error)
  else listener.answer = deferred()
}

export function abandon(listener: Listener, { name }: Channel): void {
  listener.isActive = false
  listener.answer.reject(new BroadcasterError('aborted', `The subscription of '${name}' was ended`))
}

/** What the application gets. */
export function makeSubscription(channel: Channel, listener: Listener, stop: () => void): Subscription {
  return Object.defineProperties(() => stop(), {
    channel: { value: channel.name },
    status: { get: () => channel.status },
    error: { get: () => channel.error },
    ready: { get: () => listener.answer.promise },
  }) as Subscription
}
