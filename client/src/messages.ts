import type { BroadcasterError } from './errors.ts'
import type { Emitter } from './events.ts'
import type { Message, MessageHandler, SubscribeOptions, Subscription, SubscriptionStatus } from './types.ts'

type Subscribe<Body> = (handler: MessageHandler<Body>, options: SubscribeOptions) => Subscription

/** Subscribes. The channel is subscribed until the loop over the iterator ends, whatever ends it. */
export function iterateMessages<Body>(
  subscribe: Subscribe<Body>,
  emitter: Emitter,
): AsyncIterator<Message<Body>, undefined> {
  const arrived: Message<Body>[] = []
  let ending: { readonly error: BroadcasterError | null } | undefined
  /** Continues the generator, if it waits. */
  let wake = () => {}
  let subscription: Subscription | undefined
  // May be called during `subscribe()`, because a listener may call disconnect() then.
  const end = (how: typeof ending) => {
    ending ??= how
    subscription?.()
    stopListening()
    wake()
  }
  const onStatus = (status: SubscriptionStatus, error: BroadcasterError | null) => {
    if (error && status !== 'subscribing') end({ error })
  }
  const stopListening = emitter.on('disconnected', end)
  subscription = subscribe(
    (body, message) => {
      arrived.push({ ...message, body })
      wake()
    },
    { onStatus },
  )
  onStatus(subscription.status, subscription.error)
  if (ending) subscription()

  const messages = (async function* (): AsyncGenerator<Message<Body>, undefined> {
    for (;;) {
      while (arrived.length > 0) yield arrived.shift()!
      if (ending?.error) throw ending.error
      if (ending) return undefined
      await new Promise<void>((resolve) => (wake = resolve))
    }
  })()
  return {
    next: () => {
      const result = messages.next()
      // The caller may await the promise later. Until then a rejection must not be an unhandled rejection.
      result.catch(() => {})
      return result
    },
    // A generator that waits would answer this after its next message.
    return: () => {
      end({ error: null })
      return messages.return(undefined)
    },
  }
}
