import type { ChannelName, Gap } from '@broadcaster/client'
import { useMemo, useSyncExternalStore } from 'react'
import { MessageList } from './MessageList.ts'
import type { ChannelOptions, ChannelState, ReceivedMessage } from './types.ts'
import { useClient } from './useBroadcaster.ts'
import { useChannel } from './useChannel.ts'
import { useKept } from './useKept.ts'

export interface ChannelMessagesOptions<Item, Body = string, Name = string> extends ChannelOptions<
  Body,
  Name
> {
  /**
   * How many items are kept, the newest ones.
   *
   * @default 100
   */
  limit?: number | undefined
  /**
   * What the list holds of a message; `undefined` leaves it out.
   *
   * @default the message: `{ id, channel, body, position }`
   */
  select?: ((body: NoInfer<Body>, message: ReceivedMessage<NoInfer<Body>>) => Item | undefined) | undefined
  /**
   * What the list holds where messages were missed.
   *
   * @default nothing
   */
  selectGap?: ((gap: Gap) => NoInfer<Item> | undefined) | undefined
  /**
   * How an item joins the list: a pure function that returns the new list, for instance with an older version of
   * the item replaced.
   *
   * @default it is appended
   */
  reduce?: ((list: readonly NoInfer<Item>[], item: NoInfer<Item>) => readonly NoInfer<Item>[]) | undefined
}

export interface ChannelMessages<Item, Body = string> extends ChannelState<Body> {
  /** Oldest first. The same array until something in it changes, at most once a frame. */
  readonly messages: readonly Item[]
  /** Empties the list. The same function from render to render. */
  readonly clear: () => void
}

/**
 * Subscribes to a channel, as `useChannel` does, and keeps its messages in a list.
 *
 * ```tsx
 * const { messages, clear } = useChannelMessages('news', { limit: 50 })
 * return messages.map(({ id, body }) => <p key={id}>{body}</p>)
 * ```
 *
 * The list begins empty, and begins anew with another channel.
 */
export function useChannelMessages<Name extends ChannelName, Body = string, Item = ReceivedMessage<Body>>(
  name: Name | null | undefined,
  options: ChannelMessagesOptions<Item, Body, Name> = {},
): ChannelMessages<Item, Body> {
  const client = useClient('useChannelMessages')
  const list = useKept(() => new MessageList<Item>(), [client, name])
  const { limit = 100, select, selectGap, reduce, onMessage, onGap } = options
  const channel = useChannel<Name, Body>(name, {
    ...options,
    onMessage: (body, message) => {
      // Without `select`, Item is the message itself.
      const item = select ? select(body, message) : (message as Item)
      list.add(item, limit, reduce)
      return onMessage?.(body, message)
    },
    onGap: (gap) => {
      list.add(selectGap?.(gap), limit, reduce)
      return onGap?.(gap)
    },
  })
  const messages = useSyncExternalStore(list.subscribe, list.get, list.get)

  return useMemo(
    () => ({
      messages,
      clear: list.clear,
      status: channel.status,
      error: channel.error,
      // Still only read when it is asked for.
      get latest() {
        return channel.latest
      },
    }),
    [channel, messages, list],
  )
}
