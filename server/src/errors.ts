/** What went wrong, for callers that branch on it. */
export type ErrorCode =
  /** An option has a value that can't work. */
  | 'invalidOption'
  /** Redis says no: wrong password, wrong database, a right that is missing, or it can't write just now. */
  | 'brokerRefused'
  /** Redis is away, or did not answer in time. */
  | 'brokerUnavailable'
  /** The broadcaster has been closed. */
  | 'closed'

/** The broker refuses the channel to this node: told to the client, never to the application. */
export class ChannelRefused extends Error {
  override readonly name = 'ChannelRefused'
  readonly channel: string

  constructor(channel: string) {
    super(`The broker refuses the channel ${channel}`)
    this.channel = channel
  }
}

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

/** What was asked of the broker has taken too long. */
export function unconfirmed(): BroadcasterError {
  return new BroadcasterError('brokerUnavailable', 'Redis did not confirm in time')
}

/** Whether the broker is there, and says no. */
export function isRefusal(error: unknown): boolean {
  return error instanceof BroadcasterError && error.code === 'brokerRefused'
}
