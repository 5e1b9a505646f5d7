import type { ChannelBody, ChannelName } from '@broadcaster/client'
import { useInsertionEffect, useSyncExternalStore } from 'react'
import { ChannelStore } from './ChannelStore.ts'
import type { ChannelOptions, ChannelState } from './types.ts'
import { useClient } from './useBroadcaster.ts'
import { useKept } from './useKept.ts'

/**
 * Subscribes to a channel while the component is mounted. Components with the same channel share one subscription. If the
 * name changes, the hook starts again: the handler gets no messages of the old channel.
 *
 * ```tsx
 * const { status, error } = useChannel('news', (body) => toast(body))
 * const { latest } = useChannel('price', { schema: Price, enabled: isOpen })
 * ```
 *
 * @param name the channel, or `null` for none
 * @param options the message handler, or options
 */
export function useChannel<Name extends ChannelName, Body = ChannelBody<Name>>(
  name: Name | null | undefined,
  options: ChannelOptions<Body, Name>['onMessage'] | ChannelOptions<Body, Name> = {},
): ChannelState<Body> {
  const client = useClient('useChannel')
  const handlers: ChannelOptions<Body> = typeof options === 'function' ? { onMessage: options } : options
  const channel = name ?? null
  const isIdle = channel === null || handlers.enabled === false

  const store = useKept(() => new ChannelStore<Body>(client, channel), [client, channel])
  // Insertion effects run before all other effects. The commit that replaces a store removes the handlers of the old one,
  // so messages that still arrive on the old channel reach no handler.
  useInsertionEffect(() => store.handleWith(handlers))

  const subscribe = isIdle ? subscribeToNothing : store.subscribe
  const getState = isIdle ? store.getIdleState : store.getState
  // A server, and the first render in the browser, show the state of a new store.
  return useSyncExternalStore(subscribe, getState, getState)
}

const subscribeToNothing = () => () => {}
