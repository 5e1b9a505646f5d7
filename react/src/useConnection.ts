import type { Snapshot } from '@broadcaster/client'
import { useCallback, useSyncExternalStore } from 'react'
import { useClient } from './useBroadcaster.ts'

/** The state on a server and in the first render in the browser. */
const notConnected: Snapshot = { status: 'idle', transport: null, error: null, attempt: 0, retryAt: null }

/**
 * The state of the connection: `{ status, transport, error, attempt, retryAt }`. The state of a channel is separate
 * (`useChannel().status`).
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
