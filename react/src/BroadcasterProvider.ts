import type { BroadcasterClient, ClientOptions } from '@broadcaster/client'
import { createElement, type ReactNode } from 'react'
import { ClientContext } from './useBroadcaster.ts'
import { useOwnClient } from './useOwnClient.ts'

export type BroadcasterProviderProps = { children?: ReactNode } & (
  | ({
      /**
       * Where the server is mounted, for instance `/broadcast`. The provider makes a client. It connects the client when
       * it is mounted, never on a server, and disconnects it one second after it was unmounted. If `url` or `mode`
       * changes, it makes a new client. If `auth` changes, the next connection sends the new value. For another user, set
       * `key={user.id}`, which makes a new client at once. Changes of all other options are ignored.
       */
      url: string
      client?: never
    } & ClientOptions)
  | {
      /** Your own client. The provider neither connects nor disconnects it. */
      client: BroadcasterClient
      url?: never
    }
)

/**
 * Provides a client to the hooks in its children.
 *
 * ```tsx
 * <BroadcasterProvider url="/broadcast" auth={{ token }}>
 *   <App />
 * </BroadcasterProvider>
 * ```
 */
export function BroadcasterProvider({ children, ...props }: BroadcasterProviderProps): ReactNode {
  const own = useOwnClient(props.client ? null : props)
  // Without JSX, a page that has no bundler needs only `react` in its import map.
  return createElement(ClientContext.Provider, { value: props.client ?? own }, children)
}
