import type { Snapshot } from '@broadcaster/client'
import { useCallback, useSyncExternalStore } from 'react'
import { useClient } from './useBroadcaster.ts'

/** What a server renders, and the browser with its first render. */
const notConnected: Snapshot = { status: 'idle', transport: null, error: null, attempt: 0, retryAt: null }

/**
 * The state of the connection: `{ status, transport, error, attempt, retryAt }`. It is one thing and whether a
 * channel is subscribed another (`useChannel().status`).
 */
export function useConnection(): Snapshot {
  const client = useClient('useConnection')
  const subscribe = useCallback((notify: () => void) => client.on('status', notify), [client])
  return useSyncExternalStore(
    subscribe,
    () => client.getSnapshot(),
    () => notConnected,
  )
}
