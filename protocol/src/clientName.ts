import type { Auth } from './messages.ts'

const MAX_CLIENT_NAME = 64

/**
 * The name that a client gave itself; `null` if it has none. A newer connection with the same name ends the older one.
 */
export function readClientName({ __client: name }: Auth): string | null {
  return typeof name === 'string' && name !== '' && name.length <= MAX_CLIENT_NAME ? name : null
}

/** The generation of the connection; 0 if it has none. */
export function readGeneration({ __generation: generation }: Auth): number {
  return Number.isSafeInteger(generation) && generation! >= 0 ? generation! : 0
}
