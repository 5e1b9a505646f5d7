import { mountDevtools as mount } from './mountDevtools.ts'

export type { DevtoolsOptions, DevtoolsPosition } from './mountDevtools.ts'

/**
 * See the function of the same name in `@broadcaster/devtools/mount/production`. In a bundle for production it does nothing, and
 * nothing of the devtools is in the bundle.
 */
export const mountDevtools: typeof mount = process.env.NODE_ENV === 'production' ? () => () => {} : mount
