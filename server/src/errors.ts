/** What went wrong, for callers that branch on it. */
export type ErrorCode =
  /** An option has a value that can't work. */
  | 'invalidOption'
  /** Redis refuses the connection for good: wrong password, wrong database, ... */
  | 'brokerRefused'
  /** Redis is away, or did not answer in time. */
  | 'brokerUnavailable'
  /** The broadcaster has been closed. */
  | 'closed'

/** The one error class of the server: `code` is stable, `cause` is what lay underneath. */
export class BroadcasterError extends Error {
  override readonly name = 'BroadcasterError'
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }

  /** Turns anything that was thrown into a BroadcasterError; one of ours is passed through. */
  static from(error: unknown, code: ErrorCode): BroadcasterError {
    if (error instanceof BroadcasterError) return error
    const message = error instanceof Error ? error.message : String(error)
    return new BroadcasterError(code, message, { cause: error })
  }
}
