/**
 * The maximum nesting of lists and objects. It is far below the depth at which a recursive function overflows the
 * stack.
 */
export const MAX_DEPTH = 1000

/**
 * Serializes a value to JSON and parses it again.
 *
 * @throws the error of `JSON.stringify` where JSON cannot represent the value (a big integer, a circular reference, a
 * `toJSON` or getter that throws); a `RangeError` where the value is nested too deeply
 */
export function throughJson(value: unknown): unknown {
  const text = JSON.stringify(value) as string | undefined
  if (text === undefined) return undefined
  if (isTooDeep(text)) throw new RangeError(`it is nested more than ${MAX_DEPTH} levels deep`)
  return JSON.parse(text)
}

/**
 * Whether JSON text is nested more than {@link MAX_DEPTH} levels deep. The scan is not recursive, so deep text cannot
 * overflow the stack.
 */
export function isTooDeep(json: string): boolean {
  if (json.length <= 2 * MAX_DEPTH) return false
  let depth = 0
  for (let i = 0; i < json.length; i++) {
    const code = json.charCodeAt(i)
    if (code === QUOTE) i = endOfString(json, i)
    else if (code === OPEN_LIST || code === OPEN_OBJECT) {
      if (++depth > MAX_DEPTH) return true
    } else if (code === CLOSE_LIST || code === CLOSE_OBJECT) depth -= 1
  }
  return false
}

function endOfString(json: string, start: number): number {
  let i = start + 1
  while (i < json.length && json.charCodeAt(i) !== QUOTE) i += json.charCodeAt(i) === BACKSLASH ? 2 : 1
  return i
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_LIST = 0x5b
const CLOSE_LIST = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/**
 * Whether the value is an object of keys and values, from any realm. Lists and instances of classes are not plain
 * objects.
 */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  // The prototype is not compared with `Object.prototype`, because a test runner or `node:vm` has an `Object` of its
  // own.
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/** Describes a value in a few words, for an error message. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 100 ? `${value.slice(0, 100)}…` : value)
  if (typeof value === 'function') return value.name === '' ? 'a function' : `the function ${value.name}`
  if (typeof value === 'bigint') return `the big integer ${value}n`
  if (typeof value !== 'object' || value === null) return String(value)
  if (Array.isArray(value)) return 'a list'
  const name: unknown = isPlainObject(value) ? '' : value.constructor?.name
  return typeof name === 'string' && name !== '' ? `an object of class ${name}` : 'an object'
}
