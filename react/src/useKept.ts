import { useState } from 'react'

/**
 * Returns the result of `make`, and keeps it until one of `causes` changes. State that is set during rendering takes effect
 * at once, so the old result is never used with the new props. (React may discard the result of `useMemo`, and hot reload
 * does.)
 */
export function useKept<Thing>(make: () => Thing, causes: readonly unknown[]): Thing {
  const [kept, keep] = useState(() => ({ thing: make(), causes }))
  if (causes.every((cause, index) => cause === kept.causes[index])) return kept.thing
  const next = { thing: make(), causes }
  keep(next)
  return next.thing
}
