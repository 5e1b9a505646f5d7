import { useState } from 'react'

/**
 * What `make` makes, kept until one of `causes` changes. State that is set while rendering takes effect at once, so
 * that nobody ever sees the old thing with the new props. (`useMemo` may forget, and hot reload makes it.)
 */
export function useKept<Thing>(make: () => Thing, causes: readonly unknown[]): Thing {
  const [kept, keep] = useState(() => ({ thing: make(), causes }))
  if (causes.every((cause, index) => cause === kept.causes[index])) return kept.thing
  const next = { thing: make(), causes }
  keep(next)
  return next.thing
}
