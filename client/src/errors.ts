/** What a {@link BroadcasterError} is about. Stable: branch on it, never on the message. */
export type ErrorCode =
  /** An option or an argument is wrong, or the platform lacks what it asks for. */
  | 'options'
  /** The server refused the credentials. Final: `connect()` tries again with fresh ones. */
  | 'unauthorized'
  /** `maxAttempts` attempts in a row failed. Final; `cause` is the last failure. */
  | 'maxAttempts'
  /** The server cut this client off (`broadcaster.disconnect()`). Final. */
  | 'disconnected'
  /** Another connection claims to be this client. Final. */
  | 'replaced'
  /** The server could not read what this client sent. Final. */
  | 'badMessage'
  /** The server takes no message of that size. Final. */
  | 'tooLarge'
  /** The connection could not be made, or was lost. Tried again. */
  | 'connection'
  /** No answer in time. Tried again, except for the call that the caller waits for. */
  | 'timeout'
  /** The `auth` function threw, or gave something that is not an object. Tried again. */
  | 'authFunction'
  /** The server refuses the channel. Tried again with the next connection. */
  | 'refused'
  /** The server took the channel away. Tried again with the next connection. */
  | 'unsubscribed'
  /** The server could not do it just now. Tried again. */
  | 'serverError'
  /** `disconnect()`, or the end of a subscription, came before the answer. */
  | 'aborted'
  /** A handler or a listener threw or rejected; `cause` is what it threw. */
  | 'handler'
  /** Something that was thrown and is none of these; `cause` is the thing. */
  | 'unknown'

/** The one class of error that this package throws, rejects with and emits. */
export class BroadcasterError extends Error {
  /** What it is about; stable. */
  declare readonly code: ErrorCode
  /**
   * How long the server asked this client to wait before it comes back, where it did: by close code 4429, by HTTP 429, or
   * by HTTP 503 with `Retry-After`. The client waits and comes back by itself.
   */
  declare readonly retryAfterMs?: number

  constructor(code: ErrorCode, message: string, cause?: unknown, retryAfterMs?: number) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'BroadcasterError'
    this.code = code
    if (retryAfterMs !== undefined) this.retryAfterMs = retryAfterMs
  }

  /** Makes a BroadcasterError of anything that was thrown; one that is one already stays itself. */
  static from(thrown: unknown, code: ErrorCode = 'unknown'): BroadcasterError {
    let message: string = code
    try {
      if (thrown instanceof BroadcasterError) return thrown
      message = thrown instanceof Error ? thrown.message : String(thrown)
    } catch {
      // An object without a prototype, say: whatever it is, it is the cause.
    }
    return new BroadcasterError(code, message, thrown)
  }
}
