import type { EventLogger, LogEvent } from './logger.ts'

/** The kind of error, for callers that branch on it. */
export type ErrorCode =
  /** An option has an invalid value. */
  | 'invalidOption'
  /**
   * Redis refuses the connection or a command: wrong password, wrong database, a missing permission, or a state in
   * which it cannot write.
   */
  | 'brokerRefused'
  /** Redis is unavailable, or did not reply in time. */
  | 'brokerUnavailable'
  /** The broadcaster has been closed. */
  | 'closed'

/** The broker refuses the channel to this node. The error is reported to the client, not to the application. */
export class ChannelRefused extends Error {
  override readonly name = 'ChannelRefused'
  readonly channel: string

  constructor(channel: string) {
    super(`The broker refuses the channel ${channel}`)
    this.channel = channel
  }
}

/** The node has its maximum number of channels. The client is told, the application is not. */
export class NodeFull extends Error {
  override readonly name = 'NodeFull'

  constructor(channel: string) {
    super(`The node has no room for the channel ${channel}`)
  }
}

/** The only error class that the server exports. `code` is stable, and `cause` is the original error. */
export class BroadcasterError extends Error {
  override readonly name = 'BroadcasterError'
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }

  /** Converts any thrown value to a BroadcasterError. A BroadcasterError is returned unchanged. */
  static from(error: unknown, code: ErrorCode): BroadcasterError {
    if (error instanceof BroadcasterError) return error
    const message = error instanceof Error ? error.message : String(error)
    return new BroadcasterError(code, message, { cause: error })
  }
}

/** The error for a broker that did not confirm a command in time. */
export function unconfirmed(): BroadcasterError {
  return new BroadcasterError('brokerUnavailable', 'Redis did not confirm in time')
}

/** The error for a call after `close()`. */
export function closed(): BroadcasterError {
  return new BroadcasterError('closed', 'The broadcaster has been closed')
}

/** Whether the broker has caused the error, or the end of the broadcaster. */
export function isOfBroker(error: unknown): error is BroadcasterError {
  return error instanceof BroadcasterError && error.code !== 'invalidOption'
}

/** Whether our own code has a bug: the error is none of those that the code expects. */
function isBug(error: unknown): boolean {
  return !(isOfBroker(error) || error instanceof ChannelRefused || error instanceof NodeFull)
}

/**
 * Logs why background work failed. If the broker is the cause, the level is `debug`, because the backend has already
 * logged the outage.
 */
export function logFailure(logger: EventLogger, event: LogEvent, error: unknown, text: string): void {
  logger[isBug(error) ? 'error' : 'debug']({ event, err: error }, text)
}

/** Whether there was no connection to the broker, or no reply in time. */
export function isUnavailable(error: unknown): boolean {
  return error instanceof BroadcasterError && error.code === 'brokerUnavailable'
}

/** Whether the broker is connected and refused the command. */
export function isRefusal(error: unknown): boolean {
  return error instanceof BroadcasterError && error.code === 'brokerRefused'
}
