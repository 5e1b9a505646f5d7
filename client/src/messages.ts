import type { BroadcasterClient } from './client.ts'
import type { BroadcasterError } from './errors.ts'
import type { ChannelBody, ChannelName, Message, Subscription, SubscriptionStatus } from './types.ts'

/** Subscribes. The channel is subscribed until the loop over the iterator ends, whatever ends it. */
export function iterateMessages<Name extends ChannelName>(
  client: BroadcasterClient,
  channel: Name,
  replay: number,
): AsyncIterator<Message<ChannelBody<Name>>, undefined> {
  type Body = ChannelBody<Name>
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
  const stopListening = client.on('disconnected', end)
  subscription = client.subscribe(
    channel,
    (body, message) => {
      arrived.push({ ...message, body })
      wake()
    },
    { onStatus, replay },
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
