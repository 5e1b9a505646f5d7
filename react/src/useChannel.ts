import type { ChannelName } from '@broadcaster/client'
import { useInsertionEffect, useSyncExternalStore } from 'react'
import { ChannelStore } from './ChannelStore.ts'
import type { ChannelOptions, ChannelState } from './types.ts'
import { useClient } from './useBroadcaster.ts'
import { useKept } from './useKept.ts'

/**
 * Subscribes to a channel for as long as the component is mounted. Components that share a channel share the
 * subscription too. Another name starts afresh: no message of the old channel reaches the new one's handler.
 *
 * ```tsx
 * const { status, error } = useChannel('news', (body) => toast(body))
 * const { latest } = useChannel('price', { schema: Price, enabled: isOpen })
 * ```
 *
 * @param name the channel; `null` for none
 * @param options the message handler, or options
 */
export function useChannel<Name extends ChannelName, Body = string>(
  name: Name | null | undefined,
  options: ChannelOptions<Body, Name>['onMessage'] | ChannelOptions<Body, Name> = {},
): ChannelState<Body> {
  const client = useClient('useChannel')
  const handlers: ChannelOptions<Body> = typeof options === 'function' ? { onMessage: options } : options
  const channel = name ?? null
  const isIdle = channel === null || handlers.enabled === false

  const store = useKept(() => new ChannelStore<Body>(client, channel), [client, channel])
  // Before any other effect, and taken from a store by the commit that replaces it: what still arrives on the old
  // channel reaches nobody.
  useInsertionEffect(() => store.handleWith(handlers))

  const subscribe = isIdle ? subscribeToNothing : store.subscribe
  const getState = isIdle ? store.getIdleState : store.getState
  // The state of a new store is what a server renders, and the browser with its first render.
  return useSyncExternalStore(subscribe, getState, getState)
}

const subscribeToNothing = () => () => {}
