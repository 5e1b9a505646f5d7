import type { TestOptions } from 'vitest'

declare module 'vitest' {
  interface TaskMeta {
    /** Why a test is skipped: what it needs and does not have. */
    needs?: string
  }
}

/**
 * Options of a test or a `describe` that is skipped unless the condition holds. The end of `npm test` lists every skipped
 * test with what it needs: `it('...', onlyIf(kind.startWith, 'a server that this suite starts'), async () => ...)`.
 */
export function onlyIf(condition: unknown, needs: string): TestOptions {
  return { skip: !condition, meta: { needs } }
}
