/** The interface of a logger. It has the signature of pino: fields first, then the message. */
export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/**
 * The field `event` of every log line. It is stable: search and alert by it, not by the message. `docs/monitoring.md` has the
 * level and the meaning of each.
 */
export type LogEvent =
  // Redis
  | 'redisAway'
  | 'redisBack'
  | 'redisConnectionRefused'
  | 'redisConnectionLost'
  | 'redisConnectionFailed'
  | 'redisRightsMissing'
  | 'redisTrouble'
  | 'redisTroubleOver'
  | 'channelRefusedByRedis'
  | 'notListening'
  | 'cannotStart'
  // Clients
  | 'refused'
  | 'refusalsUnlogged'
  | 'requestFailed'
  | 'authenticationFailed'
  | 'pollFailed'
  | 'sessionNotEnded'
  | 'reservationNotReleased'
  | 'cleanupFailed'
  // The application
  | 'canConnectFailed'
  | 'canSubscribeFailed'
  | 'checkOriginFailed'
  | 'addressOfFailed'
  | 'contextNotJson'
  | 'publishedTooLarge'
  | 'trustProxyNotSet'
  | 'notAttached'
  | 'bodyMissing'
  // Other nodes
  | 'controlMessageRefused'
  | 'beaconImplausible'
  | 'beaconNotSent'
  | 'renumbered'
  | 'orderDiffers'
  | 'revocationsLate'
  | 'revocationNotApplied'
  | 'missedRevocationsUnread'
  | 'copiesUnchecked'
  | 'nodesUnread'
  | 'subscribingInterrupted'
  | 'unsubscribingInterrupted'

export interface LogFields {
  readonly event: LogEvent
}

/** As the code of this package sees a logger: the compiler wants an event for every line. */
export type EventLogger = {
  readonly [Level in keyof Logger]: (
    fields: LogFields & Readonly<Record<string, unknown>>,
    message: string,
  ) => void
}

const ignore = (): void => {}

/** Writes warnings and errors to `console`, and ignores the rest. */
export const consoleLogger: Logger = {
  debug: ignore,
  info: ignore,
  warn: (fields, message) => console.warn(`broadcaster: ${message}`, fields),
  error: (fields, message) => console.error(`broadcaster: ${message}`, fields),
}
