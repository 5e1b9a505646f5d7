/**
 * What is left of a value when JSON is made of it and read again.
 *
 * @throws what JSON throws where it has no words: big integers, circles, a `toJSON` or getter that throws
 */
export function throughJson(value: unknown): unknown {
  const text = JSON.stringify(value) as string | undefined
  return text === undefined ? undefined : JSON.parse(text)
}

/** An object of keys and values, wherever it was made; no list, and nothing that has a class. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  // Not `Object.prototype` itself: a test runner, or `node:vm`, has one of its own.
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/** A value for the message of an error, in a few words. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 100 ? `${value.slice(0, 100)}…` : value)
  if (typeof value === 'function') return value.name === '' ? 'a function' : `the function ${value.name}`
  if (typeof value === 'bigint') return `the big integer ${value}n`
  if (typeof value !== 'object' || value === null) return String(value)
  if (Array.isArray(value)) return 'a list'
  const name: unknown = isPlainObject(value) ? '' : value.constructor?.name
  return typeof name === 'string' && name !== '' ? `an object of class ${name}` : 'an object'
}
