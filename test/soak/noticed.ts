import { Refusal } from './moods.ts'

/** What went wrong in the application's process without ending it. */
export class Noticed {
  /** What nobody but us is to blame for, with its stack. */
  readonly faults: string[] = []
  /** Node's own: too many listeners, timeouts that overflow, ... */
  readonly warnings: string[] = []
  /** What was logged, and how often. */
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

/** Thrown by Node or the language, and not by somebody who meant to. */
function isBug(error: unknown): boolean {
  if (!(error instanceof Error) || error instanceof Refusal) return false
  return (
    ['TypeError', 'RangeError', 'ReferenceError', 'SyntaxError'].includes(error.name) ||
    String((error as { code?: unknown }).code).startsWith('ERR_') ||
    (error.cause !== undefined && isBug(error.cause))
  )
}
