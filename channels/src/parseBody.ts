import { isText, type Schema, type SchemaIssue } from './schema.ts'

/** The body of a message is not JSON, or it does not fit the schema. */
export class SchemaError extends Error {
  /** The issues that the schema reported. Empty if there are none, for instance if the body is not JSON (see `cause`). */
  readonly issues: readonly SchemaIssue[]

  constructor(channel: string, reason: string, issues: readonly SchemaIssue[] = [], cause?: unknown) {
    super(`A message of channel "${channel}" does not fit its schema: ${reason}`, { cause })
    this.name = 'SchemaError'
    this.issues = issues
  }
}

/** Parses the published body with the schema of its channel. Throws a {@link SchemaError} if it does not fit. */
export function parseBody<Output>(schema: Schema<Output>, channel: string, body: string): Output {
  let result
  try {
    result = schema['~standard'].validate(isText(schema) ? body : JSON.parse(body))
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new SchemaError(channel, reason, [], error)
  }
  // If we waited for the result, the next message could overtake this one.
  if ('then' in result) {
    result.then(undefined, () => {}) // The error below is thrown, whatever the result is.
    const reason = 'the schema returned a promise: it may not be asynchronous, and its code may not throw'
    throw new SchemaError(channel, reason)
  }
  if (!result.issues) return result.value
  throw new SchemaError(channel, result.issues.map(describe).join('; '), result.issues)
}

function describe({ message, path = [] }: SchemaIssue): string {
  const keys = path.map((part) => String(typeof part === 'object' ? part.key : part))
  return keys.length > 0 ? `${keys.join('.')}: ${message}` : message
}
