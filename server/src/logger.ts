/** The interface of a logger. It has the signature of pino: fields first, then the message. */
export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

const ignore = (): void => {}

/** Writes warnings and errors to `console`, and ignores the rest. */
export const consoleLogger: Logger = {
  debug: ignore,
  info: ignore,
  warn: (fields, message) => console.warn(`broadcaster: ${message}`, fields),
  error: (fields, message) => console.error(`broadcaster: ${message}`, fields),
}
