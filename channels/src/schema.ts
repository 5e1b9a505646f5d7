/** What this package uses of a Standard Schema (https://standardschema.dev), for instance of zod, valibot or arktype. */
export interface Schema<Output = unknown, Input = unknown> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    validate(value: unknown): Result<Output> | Promise<Result<Output>>
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
  }
}

export interface SchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

type Result<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] }

const VENDOR = '@broadcaster/channels'

/**
 * The schema of a channel whose bodies are plain text, for instance of `redis-cli PUBLISH news hello`. All other schemas get
 * the body after `JSON.parse`.
 */
export const text: Schema<string, string> = {
  '~standard': {
    version: 1,
    vendor: VENDOR,
    validate: (value) =>
      typeof value === 'string' ? { value } : { issues: [{ message: `expected text, got ${typeof value}` }] },
  },
}

/** Whether it is {@link text}. It does not use `text`, so that a bundle has it only if the application uses it. */
export function isText(schema: Schema): boolean {
  return schema['~standard'].vendor === VENDOR
}
