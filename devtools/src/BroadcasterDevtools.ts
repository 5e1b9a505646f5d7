import { useBroadcaster } from '@broadcaster/react'
import { useEffect } from 'react'
import { mountDevtools } from './mountDevtools.ts'
import type { DevtoolsOptions } from './mountDevtools.ts'

/**
 * The devtools for the client of the nearest `<BroadcasterProvider>`. They are not part of the tree of React: they are appended to
 * `target`, so it does not matter where the component is. Changes of the props other than `target` have no effect.
 *
 * @throws when there is no provider
 */
export function BroadcasterDevtools({ target, initialIsOpen, position }: DevtoolsOptions): null {
  const client = useBroadcaster()
  useEffect(
    () =>
      mountDevtools(client, {
        ...(target && { target }),
        ...(initialIsOpen !== undefined && { initialIsOpen }),
        ...(position && { position }),
      }),
    // oxlint-disable-next-line compiler/exhaustive-deps -- The options say how the devtools begin.
    [client, target],
  )
  return null
}
