import type { closeCodes, CloseName } from '@broadcaster/protocol'
import type { BroadcasterError, ErrorCode } from './errors.ts'

/**
 * The close codes that a client has to know. The compiler compares them with the table of the protocol. The table itself has more
 * than a client needs, and would be in each bundle.
 */
type Code<Name extends CloseName> = (typeof closeCodes)[Name]['code']
type FinalName = {
  [Name in CloseName]: (typeof closeCodes)[Name]['retry'] extends false ? Name : never
}[CloseName]

// Before the table, so that bundlers replace them by their values.
export const REAUTHORIZE: Code<'reauthorize'> = 4411
export const RESTART: Code<'restart'> = 1012
export const TOO_MANY_REQUESTS: Code<'tooManyRequests'> = 4429

/** A client does not reconnect after these. Their names are error codes of this package. */
export const finalCloses: { readonly [Name in FinalName as Code<Name>]: Name } = {
  1009: 'tooLarge',
  4400: 'badMessage',
  4401: 'unauthorized',
  4403: 'disconnected',
  4409: 'replaced',
}

/** After this error, only `connect()` tries again. */
export function isFinal({ code }: BroadcasterError): boolean {
  return code === 'options' || Object.values<ErrorCode>(finalCloses).includes(code)
}
