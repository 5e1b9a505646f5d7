export { mountDevtools } from './mountDevtools.ts'
export type { DevtoolsOptions, DevtoolsPosition } from './mountDevtools.ts'
