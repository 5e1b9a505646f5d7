import type { BroadcasterError } from './errors.ts'
import type { Emitter } from './events.ts'
import type { Message, MessageHandler, SubscribeOptions, Subscription, SubscriptionStatus } from './types.ts'

type Subscribe<Body> = (handler: MessageHandler<Body>, options: SubscribeOptions) => Subscription

/** The messages of a channel as an iterator. The channel is subscribed until the loop ends, whatever ends it. */
export function iterateMessages<Body>(
  subscribe: Subscribe<Body>,
  emitter: Emitter,
): AsyncIterable<Message<Body>> {
  return { [Symbol.asyncIterator]: () => iterate(subscribe, emitter) }
}

function iterate<Body>(
  subscribe: Subscribe<Body>,
  emitter: Emitter,
): AsyncIterator<Message<Body>, undefined> {
  const arrived: Message<Body>[] = []
  let isOver = false
  let failure: BroadcasterError | null = null
  /** Settles the `next()` calls that wait. */
  let waiting: (() => void)[] = []

  const wake = () => {
    for (const resume of waiting.splice(0)) resume()
  }
  let subscription: Subscription | undefined
  // May be called during `subscribe()`, because a listener may call disconnect() then.
  const end = (error: BroadcasterError | null) => {
    if (isOver) return
    isOver = true
    failure = error
    subscription?.()
    stopListening()
    wake()
  }
  const onStatus = (status: SubscriptionStatus, error: BroadcasterError | null) => {
    if (status === 'refused' || status === 'error') end(error)
  }
  const stopListening = emitter.on('disconnected', ({ error }) => end(error))
  subscription = subscribe(
    (body, message) => {
      arrived.push({ ...message, body })
      wake()
    },
    { onStatus },
  )
  if (isOver) subscription()
  else onStatus(subscription.status, subscription.error)

  const next = async (): Promise<IteratorResult<Message<Body>, undefined>> => {
    for (;;) {
      const value = arrived.shift()
      if (value) return { value, done: false }
      if (failure) {
        const error = failure
        failure = null
        throw error
      }
      if (isOver) return { value: undefined, done: true }
      await new Promise<void>((resolve) => waiting.push(resolve))
    }
  }
  return {
    next: () => {
      const result = next()
      // The caller may await the promise later. Until then a rejection must not be an unhandled rejection.
      result.catch(() => {})
      return result
    },
    return: async () => {
      arrived.length = 0
      end(null)
      return { value: undefined, done: true }
    },
  }
}
