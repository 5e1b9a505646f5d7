'use client'

import { BroadcasterDevtools as Devtools } from './BroadcasterDevtools.ts'
import type { DevtoolsOptions } from './mountDevtools.ts'

export { mountDevtools } from './mount.ts'
export type { DevtoolsOptions, DevtoolsPosition } from './mountDevtools.ts'

/**
 * See the component of the same name in `@broadcaster/devtools/production`. In a bundle for production it renders nothing, and
 * nothing of the devtools is in the bundle.
 */
export const BroadcasterDevtools: (options: DevtoolsOptions) => null =
  process.env.NODE_ENV === 'production' ? () => null : Devtools
