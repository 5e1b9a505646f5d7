/** What this package uses of a Standard Schema (https://standardschema.dev), for instance of zod, valibot or arktype. */
export interface Schema<Output> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    validate(value: unknown): Result<Output> | Promise<Result<Output>>
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined
  }
}

export interface SchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

type Result<Output> =
  { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly SchemaIssue[] }

/** The body of a message is not JSON, or the JSON does not fit the schema. */
export class SchemaError extends Error {
  /** The issues that the schema reported. Empty if the body is not JSON (see `cause`). */
  readonly issues: readonly SchemaIssue[]

  constructor(channel: string, reason: string, issues: readonly SchemaIssue[], cause?: unknown) {
    super(`A message of channel "${channel}" does not fit its schema: ${reason}`, { cause })
    this.name = 'SchemaError'
    this.issues = issues
  }
}

/** Parses the body with the schema. Throws a {@link SchemaError} if it does not fit. */
export function parseBody<Output>(schema: Schema<Output>, channel: string, body: string): Output {
  let json: unknown
  try {
    json = JSON.parse(body)
  } catch (error) {
    throw new SchemaError(channel, (error as SyntaxError).message, [], error)
  }
  const result = schema['~standard'].validate(json)
  // If we waited for the result, the next message could overtake this one.
  if ('then' in result) {
    result.then(undefined, () => {}) // The error below is thrown, whatever the result is.
    throw new SchemaError(channel, 'a schema may not be asynchronous', [])
  }
  if (!result.issues) return result.value
  throw new SchemaError(channel, result.issues.map(({ message }) => message).join('; '), result.issues)
}
