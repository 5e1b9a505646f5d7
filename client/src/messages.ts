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
  /** Continues the generator, if it waits. */
  let wake = () => {}
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

  const generator = (async function* (): AsyncGenerator<Message<Body>, undefined> {
    for (;;) {
      while (arrived.length > 0) yield arrived.shift()!
      if (failure) throw failure
      if (isOver) return undefined
      await new Promise<void>((resolve) => (wake = resolve))
    }
  })()
  return {
    next: () => {
      const result = generator.next()
      // The caller may await the promise later. Until then a rejection must not be an unhandled rejection.
      result.catch(() => {})
      return result
    },
    // A generator that waits would answer this after its next message.
    return: () => {
      end(null)
      return generator.return(undefined)
    },
  }
}
