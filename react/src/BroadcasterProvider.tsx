import type { BroadcasterClient, ClientOptions } from '@broadcaster/client'
import type { ReactNode } from 'react'
import { ClientContext } from './useBroadcaster.ts'
import { useOwnClient } from './useOwnClient.ts'

export type BroadcasterProviderProps = { children?: ReactNode } & (
  | ({
      /**
       * Where the server is mounted: `/broadcast`. The provider makes a client for it, connects it once it is
       * mounted, never on a server, and disconnects it a second after it was unmounted. Another `url` or `mode`
       * makes another client. A changed `auth` is what the next (re)connection sends; for another user, say
       * `key={user.id}`, which starts afresh. All other options count as they were at first.
       */
      url: string
      client?: never
    } & ClientOptions)
  | {
      /** A client of your own. It stays yours: the provider neither connects nor disconnects it. */
      client: BroadcasterClient
      url?: never
    }
)

/**
 * Gives a client to the hooks below it.
 *
 * ```tsx
 * <BroadcasterProvider url="/broadcast" auth={{ token }}>
 *   <App />
 * </BroadcasterProvider>
 * ```
 */
export function BroadcasterProvider({ children, ...props }: BroadcasterProviderProps): ReactNode {
  const own = useOwnClient(props.client ? null : props)
  return <ClientContext.Provider value={props.client ?? own}>{children}</ClientContext.Provider>
}
