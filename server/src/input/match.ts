import { BroadcasterError } from '../errors.ts'
import { describe, isPlainObject, isTooDeep, MAX_DEPTH } from './json.ts'

/** The JSON values that a context must have. The empty match selects every client. */
export type Match = Readonly<Record<string, unknown>>

/**
 * Reads the argument of `disconnect`, `unsubscribe` and `reauthorize`. The match is sent to other nodes as JSON and is compared with
 * contexts that are JSON. A value that JSON would omit or change is therefore refused: `{ user: undefined }` would
 * become the empty match, which selects every client.
 *
 * @throws {BroadcasterError} `invalidOption`
 */
export function readMatch(method: string, given: unknown): Match {
  if (given === 'everyone') return {}
  const invalid = (problem: string, cause?: unknown): BroadcasterError =>
    new BroadcasterError(
      'invalidOption',
      `${method}(): expected an object to compare contexts with, or 'everyone'; ${problem}`,
      cause === undefined ? {} : { cause },
    )
  if (typeof given !== 'object' || given === null) throw invalid(`got ${describe(given)}`)
  let text: string
  try {
    // `JSON.stringify` has already replaced a Date, or another object with `toJSON`, by the result of `toJSON`.
    text = JSON.stringify(given, (key, value: unknown) => {
      if (!isJson(value)) throw invalid(`${key === '' ? 'it' : key} is ${describe(value)}`)
      return value
    })
  } catch (error) {
    throw error instanceof BroadcasterError ? error : invalid((error as Error).message, error)
  }
  if (isTooDeep(text)) throw invalid(`it is nested more than ${MAX_DEPTH} levels deep`)
  const match: unknown = JSON.parse(text)
  if (!isPlainObject(match)) throw invalid(`got ${describe(match)}`)
  if (Object.keys(match).length === 0) throw invalid('an empty object would select everyone')
  return match
}

/** Whether the context contains every key and value of `match`. */
export function isMatch(match: Match, context: unknown): boolean {
  return Object.keys(match).every((key) => hasPart(match, context, key))
}

/** Compares objects by the keys of the pattern, lists item by item, and all other values with `===`. */
function isAlike(pattern: unknown, value: unknown): boolean {
  if (typeof pattern !== 'object' || pattern === null) return pattern === value
  if (typeof value !== 'object' || value === null || Array.isArray(pattern) !== Array.isArray(value))
    return false
  if (Array.isArray(pattern) && pattern.length !== (value as unknown[]).length) return false
  return Object.keys(pattern).every((key) => hasPart(pattern, value, key))
}

function hasPart(pattern: object, value: unknown, key: string): boolean {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return false
  return isAlike((pattern as Match)[key], (value as Match)[key])
}

/** Whether JSON can represent the value itself. Its members are not checked. */
function isJson(value: unknown): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true
    case 'number':
      return Number.isFinite(value)
    case 'object':
      return value === null || Array.isArray(value) || isPlainObject(value)
    default:
      return false
  }
}
