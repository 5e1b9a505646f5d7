import { Refusal } from './callbacks.ts'

/** Errors and warnings in the process of the application that did not end it. */
export class Noticed {
  /** Faults of the kit, with their stacks. */
  readonly faults: string[] = []
  /** Warnings of Node: too many listeners, timeouts that overflow, ... */
  readonly warnings: string[] = []
  /** The number of each log line. */
  readonly logged: Record<string, number> = {}

  readonly logger = {
    debug: (): void => {},
    info: (): void => {},
    warn: (fields: object, words: string): void => this.#log('warn', fields, words),
    error: (fields: object, words: string): void => this.#log('error', fields, words),
  }

  constructor() {
    process.on('warning', ({ name, message, stack }) => {
      if (name === 'DeprecationWarning' || name === 'ExperimentalWarning') return
      this.warnings.push(`${name}: ${message}\n${stack}`)
    })
  }

  fault(what: string, error: unknown): void {
    this.faults.push(`${what}: ${error instanceof Error ? error.stack : String(error)}`)
  }

  #log(level: string, fields: object, words: string): void {
    const { err } = fields as { err?: unknown }
    const line = `${level} ${words}${err instanceof Error ? ` (${err.name}: ${err.message.slice(0, 80)})` : ''}`
    this.logged[line] = (this.logged[line] ?? 0) + 1
    if (isBug(err)) this.fault(words, err)
  }
}

/** Whether Node or the language threw the error, and not the application on purpose. */
function isBug(error: unknown): boolean {
  if (!(error instanceof Error) || error instanceof Refusal) return false
  return (
    ['TypeError', 'RangeError', 'ReferenceError', 'SyntaxError'].includes(error.name) ||
    String((error as { code?: unknown }).code).startsWith('ERR_') ||
    (error.cause !== undefined && isBug(error.cause))
  )
}
