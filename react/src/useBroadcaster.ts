import type { BroadcasterClient } from '@broadcaster/client'
import { createContext, useContext } from 'react'
import { isDevelopment } from './development.ts'

export const ClientContext = createContext<BroadcasterClient | null>(null)

/**
 * The client of the nearest `<BroadcasterProvider>`. Use it to call `connect()` and `disconnect()` yourself, or to listen
 * to its events.
 *
 * @throws when there is no provider
 */
export function useBroadcaster(): BroadcasterClient {
  return useClient('useBroadcaster')
}

/** The client of the nearest provider. `hook` is named in the error if there is no provider. */
export function useClient(hook: string): BroadcasterClient {
  const client = useContext(ClientContext)
  if (client) return client
  throw new Error(
    `${hook}() found no client${isDevelopment ? ': wrap your app in <BroadcasterProvider url="/broadcast"> (or client={client}).' : ''}`,
  )
}
