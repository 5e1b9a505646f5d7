/** The user can mend it. Its message is all that he sees. */
export class CreateError extends Error {
  override name = 'CreateError'
}
