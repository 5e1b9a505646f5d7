import type { Auth } from './messages.ts'

const MAX_CLIENT_NAME = 64
const NODE_ID = /^[0-9a-f-]{36}$/

/**
 * The name that a client gave itself; `null` if it has none. A newer connection with the same name ends the older one.
 */
export function readClientName({ __client: name }: Auth): string | null {
  return typeof name === 'string' && name !== '' && name.length <= MAX_CLIENT_NAME ? name : null
}

/** The id of the node that the client was on before. */
export function readFormerNode({ __node: node }: Auth): string | null {
  return typeof node === 'string' && NODE_ID.test(node) ? node : null
}

/** The generation of the connection; 0 if it has none. */
export function readGeneration({ __generation: generation }: Auth): number {
  return Number.isSafeInteger(generation) && generation! >= 0 ? generation! : 0
}
