import type { BroadcasterClient } from '@broadcaster/client'
import { mountDevtools as mount, type DevtoolsOptions } from './mountDevtools.ts'

export type { DevtoolsOptions, DevtoolsPosition } from './mountDevtools.ts'

/**
 * See the function of the same name in `@broadcaster/devtools/mount/production`. In a bundle for production it does nothing, and
 * nothing of the devtools is in the bundle.
 */
export const mountDevtools: (client: BroadcasterClient, options?: DevtoolsOptions) => () => void =
  process.env.NODE_ENV === 'production' ? () => () => {} : mount
