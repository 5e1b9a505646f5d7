/** The kind of a {@link BroadcasterError}. Codes are stable: compare the code, never the message. */
export type ErrorCode =
  /** An option or an argument is invalid, or the platform does not have what it needs. */
  | 'options'
  /** The server refused the credentials. Final. `connect()` tries again with fresh credentials. */
  | 'unauthorized'
  /** `maxAttempts` attempts in a row failed. Final. `cause` is the last failure. */
  | 'maxAttempts'
  /** The server disconnected this client (`broadcaster.disconnect()`). Final. */
  | 'disconnected'
  /** A newer connection uses the name of this client. Final. */
  | 'replaced'
  /** The server could not read what this client sent. Final. */
  | 'badMessage'
  /** The server does not accept a message of that size. Final. */
  | 'tooLarge'
  /** The credentials have ended, or the server asks for them again. The client calls `auth` and comes back at once. */
  | 'reauthorize'
  /** The connection could not be made, or was lost. The client tries again. */
  | 'connection'
  /** No answer in time. The client tries again, but the promise of the call rejects. */
  | 'timeout'
  /** The `auth` function threw, rejected or returned something that is not an object. The client tries again. */
  | 'authFunction'
  /** The server refuses the channel, or the option `channels` does not have it. The client tries again with the next connection. */
  | 'refused'
  /** The server ended the subscription, or refuses the channel after a reconnect. The client tries again with the next connection. */
  | 'unsubscribed'
  /** The server failed temporarily. The client tries again. */
  | 'serverError'
  /** `disconnect()` was called, or the subscription ended, before the answer. */
  | 'aborted'
  /** A handler or a listener threw or rejected. `cause` is the thrown value. */
  | 'handler'
  /** Any other thrown value. `cause` is that value. */
  | 'unknown'

/** The only class of error that this package throws, rejects with and emits. */
export class BroadcasterError extends Error {
  /** The kind of error. Stable. */
  declare readonly code: ErrorCode
  /**
   * How long the server asked this client to wait before it reconnects. Set for close code 4429, for HTTP 429, and for
   * HTTP 503 with `Retry-After`. The client waits and reconnects by itself.
   */
  declare readonly retryAfterMs?: number

  /** @param message `false`: it is that of the cause. Without a cause it is the code. */
  constructor(code: ErrorCode, message: string | false, cause?: unknown, retryAfterMs?: number) {
    super(
      message || (cause !== undefined && textOf(cause)) || `${code} (see ERRORS.md)`,
      cause === undefined ? undefined : { cause },
    )
    this.name = 'BroadcasterError'
    this.code = code
    if (retryAfterMs !== undefined) this.retryAfterMs = retryAfterMs
  }

  /** Makes a BroadcasterError from any thrown value. A BroadcasterError is returned as it is. */
  static from(thrown: unknown, code: ErrorCode = 'unknown'): BroadcasterError {
    try {
      if (thrown instanceof BroadcasterError) return thrown
    } catch {
      // For instance of a proxy that was revoked. It is still the cause.
    }
    return new BroadcasterError(code, false, thrown)
  }
}

/** The message of a thrown value. */
export function textOf(thrown: unknown): string {
  try {
    return thrown instanceof Error ? thrown.message : String(thrown)
  } catch {
    // For instance an object without a prototype.
    return 'unknown'
  }
}
