/** Whether `value` has everything that `pattern` has: objects by their keys, everything else by being the same. */
export function isMatch(pattern: unknown, value: unknown): boolean {
  if (typeof pattern !== 'object' || pattern === null) return Object.is(pattern, value)
  if (typeof value !== 'object' || value === null || Array.isArray(pattern) !== Array.isArray(value))
    return false
  if (Array.isArray(pattern) && pattern.length !== (value as unknown[]).length) return false
  return Object.entries(pattern).every(
    ([key, part]) => Object.hasOwn(value, key) && isMatch(part, (value as Record<string, unknown>)[key]),
  )
}
