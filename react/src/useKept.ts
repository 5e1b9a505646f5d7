import { useState } from 'react'

/**
 * Returns the result of `make`, and keeps it until one of `deps` changes. State that is set during rendering takes effect
 * at once, so the old result is never used with the new props. (React may discard the result of `useMemo`, and hot reload
 * does.)
 */
export function useKept<Value>(make: () => Value, deps: readonly unknown[]): Value {
  const [kept, setKept] = useState(() => ({ value: make(), deps }))
  if (deps.every((dep, index) => dep === kept.deps[index])) return kept.value
  const next = { value: make(), deps }
  setKept(next)
  return next.value
}
