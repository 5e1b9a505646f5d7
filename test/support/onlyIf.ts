import type { TestOptions } from 'vitest'

declare module 'vitest' {
  interface TaskMeta {
    /** What a skipped test needs and does not have. */
    needs?: string
  }
}

/**
 * Options of a test or a `describe` that is skipped if the condition is false. At its end, `npm test` lists every skipped
 * test with what it needs: `it('...', onlyIf(kind.startWith, 'a server that this suite starts'), async () => ...)`.
 */
export function onlyIf(condition: unknown, needs: string): TestOptions {
  return { skip: !condition, meta: { needs } }
}
