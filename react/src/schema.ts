/** What is used here of a Standard Schema (https://standardschema.dev), such as those of zod, valibot and arktype. */
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

/** The body of a message is no JSON, or its JSON does not fit the schema. */
export class SchemaError extends Error {
  /** What the schema has against it; empty when the body is no JSON (see `cause`). */
  readonly issues: readonly SchemaIssue[]

  constructor(channel: string, reason: string, issues: readonly SchemaIssue[], cause?: unknown) {
    super(`A message of channel "${channel}" does not fit its schema: ${reason}`, { cause })
    this.name = 'SchemaError'
    this.issues = issues
  }
}

/** The body as the schema has it. Throws a {@link SchemaError} when it does not fit. */
export function parseBody<Output>(schema: Schema<Output>, channel: string, body: string): Output {
  let json: unknown
  try {
    json = JSON.parse(body)
  } catch (error) {
    throw new SchemaError(channel, (error as SyntaxError).message, [], error)
  }
  const result = schema['~standard'].validate(json)
  // Waiting for one message would put the next before it.
  if ('then' in result) {
    result.then(undefined, () => {}) // It has failed whatever it says.
    throw new SchemaError(channel, 'a schema may not be asynchronous', [])
  }
  if (!result.issues) return result.value
  throw new SchemaError(channel, result.issues.map(({ message }) => message).join('; '), result.issues)
}
