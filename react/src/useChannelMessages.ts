import type { ChannelBody, ChannelName, Gap } from '@broadcaster/client'
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
   * The maximum number of items. The newest items are kept.
   *
   * @default 100
   */
  limit?: number | undefined
  /**
   * Makes the item of a message. Return `undefined` to leave the message out.
   *
   * @default the message: `{ id, channel, body, position }`
   */
  select?: ((body: NoInfer<Body>, message: ReceivedMessage<NoInfer<Body>>) => Item | undefined) | undefined
  /**
   * Makes an item for a gap, where messages were missed.
   *
   * @default nothing
   */
  selectGap?: ((gap: Gap) => NoInfer<Item> | undefined) | undefined
  /**
   * Adds an item to the list. A pure function that returns the new list, for instance with an older version of the item
   * replaced.
   *
   * @default it is appended
   */
  reduce?: ((list: readonly NoInfer<Item>[], item: NoInfer<Item>) => readonly NoInfer<Item>[]) | undefined
}

export interface ChannelMessages<Item, Body = string> extends ChannelState<Body> {
  /** The items, oldest first. It is the same array until it changes, at most once per frame. */
  readonly messages: readonly Item[]
  /** Empties the list. It is the same function on every render. */
  readonly clear: () => void
}

/**
 * Subscribes to a channel like `useChannel`, and keeps its messages in a list.
 *
 * ```tsx
 * const { messages, clear } = useChannelMessages('news', { limit: 50 })
 * return messages.map(({ id, body }) => <p key={id}>{body}</p>)
 * ```
 *
 * The list is empty at first, and again when the name of the channel changes.
 */
export function useChannelMessages<
  Name extends ChannelName,
  Body = ChannelBody<Name>,
  Item = ReceivedMessage<Body>,
>(
  name: Name | null | undefined,
  options: ChannelMessagesOptions<Item, Body, Name> = {},
): ChannelMessages<Item, Body> {
  const client = useClient('useChannelMessages')
  const list = useKept(() => new MessageList<Item>(), [client, name])
  const { limit = 100, select, selectGap, reduce, onMessage, onGap } = options
  const channel = useChannel<Name, Body>(name, {
    ...options,
    onMessage: (body, message) => {
      // Without `select`, the item is the message.
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
      // Reading `latest` makes the component render for messages, so it is read only when the component reads it.
      get latest() {
        return channel.latest
      },
    }),
    [channel, messages, list],
  )
}
