/** A fault in the code that breaks a rule of the protocol. It replaces a text that is in the source exactly once. */
export interface Mutation {
  readonly name: string
  readonly file: string
  readonly find: string
  readonly replace: string
  /**
   * A seed that catches it. It is tried first, because most seeds do not catch most mutations. After a change of the code
   * it may be another one: then the test tries the others of the same profile, and prints which one caught it.
   */
  readonly seed?: number
}
