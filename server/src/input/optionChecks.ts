import { BroadcasterError } from '../errors.ts'
import { describe } from './json.ts'
import type { Logger } from '../logger.ts'
import { isUtf8 } from './text.ts'

// Each function checks one kind of option, and throws `invalidOption` if the value has another form than expected.

export function invalid(option: string, expected: string, got: unknown): BroadcasterError {
  return new BroadcasterError('invalidOption', `Option ${option}: expected ${expected}, got ${describe(got)}`)
}

/** The maximum delay of a Node timer. A timer with a longer delay fires at once. */
const LONGEST_MS = 2 ** 31 - 1

/** Checks the options object: it must be an object, every key must be known, and no value may be `null`. */
export function checkKeys(options: unknown, known: ReadonlySet<string>): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    const hint = typeof options === 'string' ? '; the path goes to app.use(path, broadcaster())' : ''
    throw new BroadcasterError(
      'invalidOption',
      `broadcaster(): expected an object of options, got ${describe(options)}${hint}`,
    )
  }
  if ('listen' in options && typeof options.listen === 'function') {
    throw new BroadcasterError(
      'invalidOption',
      'broadcaster(): expected an object of options, got a server; give it to attach(server)',
    )
  }
  for (const [key, value] of Object.entries(options)) {
    if (!known.has(key)) throw invalid(key, `one of ${[...known].join(', ')}`, key)
    // `null` does not select the default: an explicit `null` is probably meant to have another effect.
    if (value === null) throw invalid(key, 'a value, or undefined for the default', null)
  }
}

/** Reads counts, bytes and durations: whole numbers above 0, or `Infinity` for no limit. */
export function amounts<T extends object>(option: string, defaults: T, given: unknown): T {
  const merged = { ...defaults }
  if (given === undefined) return merged
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    const keys = Object.keys(defaults).join(', ')
    const orFalse = option === 'recovery' ? ', or false; it is on by default' : ''
    throw invalid(option, `an object with some of ${keys}${orFalse}`, given)
  }
  for (const [key, value] of Object.entries(given)) {
    if (!Object.hasOwn(defaults, key))
      throw invalid(`${option}.${key}`, `one of ${Object.keys(defaults).join(', ')}`, key)
    if (value === undefined) continue
    if (value !== Infinity && !isAmount(value))
      throw invalid(`${option}.${key}`, 'a whole number above 0, or Infinity', value)
    Object.assign(merged, { [key]: value })
  }
  return merged
}

/** Checks a duration that is given to a timer or to Redis. */
export function duration(option: string, value: unknown): number {
  if (!isAmount(value) || value > LONGEST_MS)
    throw invalid(option, `whole ms above 0, up to ${LONGEST_MS}`, value)
  return value
}

function isAmount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0
}

export function callback<F>(option: string, value: F | undefined): F | undefined {
  if (value !== undefined && typeof value !== 'function') throw invalid(option, 'a function', value)
  return value
}

export function checkChannels(channels: unknown): void {
  const isMap =
    typeof channels === 'object' && channels !== null && 'match' in channels && 'schemas' in channels
  if (!isMap) throw invalid('channels', 'what defineChannels() of @broadcaster/channels returns', channels)
}

const LEVELS = ['debug', 'info', 'warn', 'error'] as const

export function checkLogger(logger: Logger): void {
  for (const each of LEVELS) {
    if (typeof logger[each] !== 'function') throw invalid(`logger.${each}`, 'a function', logger[each])
  }
}

export function level(option: string, value: unknown): (typeof LEVELS)[number] | undefined {
  const known = LEVELS.find((each) => each === value)
  if (value !== undefined && known === undefined) throw invalid(option, `one of ${LEVELS.join(', ')}`, value)
  return known
}

export function name(option: string, value: unknown): string {
  if (typeof value !== 'string' || value === '' || !isUtf8(value))
    throw invalid(option, 'a string that is not empty, and that UTF-8 can represent', value)
  return value
}

/** The minimum length of a secret. A shorter one can be guessed by an attacker who has recorded a signed message. */
const SHORTEST_SECRET = 16

/** Reads one secret or several. The error message does not contain the value, because messages end up in logs. */
export function secrets(value: unknown): readonly string[] {
  if (value === undefined) return []
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  const isSecret = (one: unknown): one is string => typeof one === 'string' && one.length >= SHORTEST_SECRET
  if (list.length > 0 && list.every(isSecret)) return [...list]
  const expected = `a string of ${SHORTEST_SECRET} characters or more, or a list of such strings`
  throw new BroadcasterError('invalidOption', `Option secret: expected ${expected}`)
}
