import { BroadcasterError } from '../errors.ts'
import { describe } from '../input/json.ts'

export interface AcceptOptions {
  /**
   * When the client's credentials end: ms since 1970, or a `Date`. The `exp` of a JWT is in seconds: multiply it by 1000.
   *
   * @default never
   */
  readonly expiresAt?: number | Date | undefined
}

/** A global symbol, so that the result is recognized also if an application has two copies of this package. */
const ACCEPTED = Symbol.for('@broadcaster/server: accepted')

/** What {@link accept} returns. */
export class Accepted<Context = unknown> {
  /** `true`: the client has no context. */
  readonly context: Context | true
  /** In ms since 1970; `Infinity` for never. */
  readonly expiresAt: number
  readonly [ACCEPTED] = true

  constructor(context: Context | true, expiresAt: number) {
    this.context = context
    this.expiresAt = expiresAt
  }

  static is(value: unknown): value is Accepted {
    return typeof value === 'object' && value !== null && ACCEPTED in value
  }
}

/**
 * Accepts a client until a time, as the result of `canConnect`: `accept({ user }, { expiresAt })`. A little earlier, the server asks
 * the client for credentials again. The client continues from its positions, so it misses nothing. A client whose credentials have
 * already ended is refused. The time is compared with the clock of the node.
 *
 * @param context The client's context, or `true` for none. As for an object that `canConnect` returns, without an end.
 * @throws {BroadcasterError} `invalidOption`, with the expected and the actual value. Thrown in `canConnect`, it refuses the client and
 * is logged
 */
export function accept(context: true, options?: AcceptOptions): Accepted<Record<string, unknown>>
export function accept<Context extends object>(context: Context, options?: AcceptOptions): Accepted<Context>
export function accept(context: object | true, { expiresAt }: AcceptOptions = {}): Accepted<object> {
  if (context !== true && (typeof context !== 'object' || context === null || Accepted.is(context)))
    throw invalid(`expected an object or true as the context, got ${describe(context)}`)
  return new Accepted(context, readTime(expiresAt))
}

/** Until the year 1973 in ms, but a time until the year 5138 in seconds. */
const LEAST_MS = 1e11

function readTime(given: unknown): number {
  if (given === undefined) return Infinity
  const ms = given instanceof Date ? given.getTime() : given
  if (typeof ms !== 'number' || Number.isNaN(ms) || ms < 0)
    throw invalid(`expected expiresAt in ms since 1970, or a Date; got ${got(given)}`)
  if (ms < LEAST_MS) {
    const year = new Date(ms).getUTCFullYear()
    throw invalid(`expiresAt is ${ms}, in the year ${year}: it is in ms, so multiply seconds by 1000`)
  }
  return ms
}

function got(given: unknown): string {
  return given instanceof Date ? 'an invalid Date' : describe(given)
}

function invalid(problem: string): BroadcasterError {
  return new BroadcasterError('invalidOption', `accept(): ${problem}`)
}
