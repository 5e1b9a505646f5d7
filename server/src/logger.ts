/** What is asked of a logger: pino's shape, fields first. */
export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

const ignore = (): void => {}

/** Warnings and errors to `console`, nothing else. */
export const consoleLogger: Logger = {
  debug: ignore,
  info: ignore,
  warn: (fields, message) => console.warn(`broadcaster: ${message}`, fields),
  error: (fields, message) => console.error(`broadcaster: ${message}`, fields),
}
