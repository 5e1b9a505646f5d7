import { BroadcasterError } from '../errors.ts'
import { describe } from './json.ts'

/** The origins that the option `checkOrigin` allows, in the form that {@link isAllowed} needs. */
export interface AllowedOrigins {
  /** Origins in the form in which browsers send them. */
  readonly exact: ReadonlySet<string>
  readonly patterns: readonly RegExp[]
}

/**
 * Reads the option `checkOrigin`. An entry that can never equal an `Origin` header is refused. The error message says
 * what to write instead.
 *
 * @throws {BroadcasterError} `invalidOption`
 */
export function readOrigins<F extends (...args: never[]) => unknown>(
  option: readonly (string | RegExp)[] | F,
): AllowedOrigins | F {
  if (typeof option === 'function') return option
  if (!Array.isArray(option)) {
    const one = typeof option === 'string' || (option as unknown) instanceof RegExp
    throw invalid(
      'a list of origins or a function',
      one ? `${show(option)}; write [${show(option)}]` : show(option),
    )
  }
  const exact = new Set<string>()
  const patterns: RegExp[] = []
  for (const entry of option as unknown[]) {
    // The flags `g` and `y` are removed, because they make a RegExp keep its `lastIndex` between calls.
    if (entry instanceof RegExp) patterns.push(new RegExp(entry.source, entry.flags.replace(/[gy]/g, '')))
    else exact.add(readOrigin(entry))
  }
  return { exact, patterns }
}

export function isAllowed({ exact, patterns }: AllowedOrigins, origin: string): boolean {
  return exact.has(origin) || patterns.some((pattern) => pattern.test(origin))
}

/**
 * Normalizes an entry to the form that a browser sends in `Origin`: the host in lower case and Punycode, no default
 * port, no slash at the end.
 */
function readOrigin(entry: unknown): string {
  if (typeof entry !== 'string')
    throw invalid("origins such as 'https://app.example', or RegExps", show(entry))
  if (entry === '*') throw invalid('origins', "'*'; to allow every origin, write checkOrigin: () => true")
  if (entry === 'null') {
    throw invalid(
      'origins',
      "'null', which every sandboxed frame and every file sends; a function can still allow it",
    )
  }
  if (entry.includes('*')) {
    const url = entry.includes('://') ? entry : `https://${entry}`
    const escaped = url.replace(/[.+?^${}()|[\]\\/]/g, '\\$&').replaceAll('*', '[^.]+')
    throw invalid('origins', `${show(entry)}, and there are no wildcards; write a RegExp: /^${escaped}$/`)
  }
  const url = entry.includes('://') && URL.canParse(entry) ? new URL(entry) : null
  if (url === null) {
    throw invalid(
      'origins with their scheme',
      `${show(entry)}; write ${show(`https://${entry.replace(/^\/\//, '')}`)}`,
    )
  }
  if (url.protocol === 'ws:' || url.protocol === 'wss:') {
    const page = entry.replace(/^ws/i, 'http')
    throw invalid('origins of pages', `${show(entry)}; write ${show(page)}`)
  }
  const origin = `${url.protocol}//${url.host}`
  const isBare = (url.pathname === '' || url.pathname === '/') && url.search + url.hash + url.username === ''
  if (!isBare || entry.endsWith('?') || entry.endsWith('#')) {
    throw invalid('origins, which have no path', `${show(entry)}; write ${show(origin)}`)
  }
  return origin
}

function show(value: unknown): string {
  return value instanceof RegExp ? String(value) : describe(value)
}

function invalid(expected: string, got: string): BroadcasterError {
  return new BroadcasterError('invalidOption', `Option checkOrigin: expected ${expected}, got ${got}`)
}
